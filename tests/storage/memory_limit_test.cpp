#include "storage/memory_budget.hpp"
#include "storage/transaction.hpp"
#include "tests/support/engine_fixture.hpp"
#include "tests/support/faulty_file_system.hpp"

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <fstream>
#include <random>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

using namespace warp;
using namespace warp::storage;
using namespace warp::testing;

namespace {

constexpr std::uint64_t limit = 8u << 20;

engine_options options_on(faulty_file_system& files) {
  auto options = small_options("data");
  options.files = &files;
  options.max_memory_bytes = limit;
  return options;
}

std::uint64_t memory_of(engine& e) {
  std::uint64_t bytes = 0;
  for (std::uint32_t s = 0; s < e.shard_count(); ++s) {
    const auto t = e.stats(shard_id{s}).table;
    bytes += t.record_bytes + t.index_bytes;
  }
  return bytes;
}

/// Puts keys with values of this size until one is refused; returns how many there are.
int fill(running_engine& db, std::size_t value_bytes) {
  const std::string value(value_bytes, 'v');
  for (int i = 0;; ++i) {
    const auto code = db.put("key" + std::to_string(i), value).code;
    if (code == op_code::ok) continue;
    REQUIRE(code == op_code::no_space);
    return i;
  }
}

} // namespace

TEST_CASE("at the memory limit writes that need more are refused, and all else goes on",
          "[storage][memory]") {
  faulty_file_system files;
  running_engine db{options_on(files)};
  const std::size_t size = GENERATE(20, 1'000, 100'000);
  CAPTURE(size);
  const auto count = fill(db, size);
  CHECK(memory_of(*db) <= limit + 100'000); // the index grows by a segment
  CHECK(memory_of(*db) >= limit / 100 * 85);
  CHECK(db->stats(db->shard_of("key" + std::to_string(count))).memory_refusals >= 1);
  // What is there is read, replaced by something shorter, counted down, deleted.
  CHECK(db.get("key0") == std::string(size, 'v'));
  CHECK(db.put("key0", "short").code == op_code::ok);
  CHECK(db.get("key0") == "short");
  CHECK(db.put("key1", std::string(size, 'w')).code == op_code::ok);
  CHECK(db.get("key1") == std::string(size, 'w'));
  CHECK(db.get("key" + std::to_string(count)) == "(not_found)");
  // What is deleted makes room, in whatever shard.
  for (int i = 0; i < count / 2; ++i)
    REQUIRE(db.erase("key" + std::to_string(i)).code == op_code::ok);
  for (int i = 0; i < count / 4; ++i)
    REQUIRE(db.put("other" + std::to_string(i), std::string(size, 'v')).code == op_code::ok);
}

TEST_CASE("at the memory limit a transaction is refused as a whole", "[storage][memory]") {
  faulty_file_system files;
  running_engine db{options_on(files)};
  fill(db, 2'000);
  const std::string value(50'000, 'x');
  std::vector<operation> ops;
  const std::vector<std::string> keys{"a", "b", "c", "d", "e", "f"};
  ops.push_back({.kind = op_kind::erase, .key = "key0"});
  for (const auto& key : keys) ops.push_back({.kind = op_kind::put, .key = key, .value = value});
  std::vector<op_reply> replies(ops.size());
  value_arena arena;
  CHECK(db->execute_atomic(ops, replies, arena) == op_code::no_space);
  CHECK(db.get("key0") == std::string(2'000, 'v'));
  for (const auto& key : keys) CHECK(db.get(key) == "(not_found)");
}

TEST_CASE("more data than the memory limit allows is there after a start, and writes wait for room",
          "[storage][memory]") {
  faulty_file_system files;
  int count = 0;
  {
    running_engine db{options_on(files)};
    count = fill(db, 1'000);
    REQUIRE(db.stop().ok());
  }
  auto options = options_on(files);
  options.max_memory_bytes = limit / 2;
  running_engine db{options};
  for (int i = 0; i < count; ++i) REQUIRE(db.get("key" + std::to_string(i)).size() == 1'000);
  CHECK(db.put("more", "x").code == op_code::no_space);
  for (int i = 0; i < count * 3 / 4; ++i)
    REQUIRE(db.erase("key" + std::to_string(i)).code == op_code::ok);
  CHECK(db.put("more", "x").code == op_code::ok);
}

TEST_CASE("what a clear has removed is given back behind it", "[storage][memory][threads]") {
  faulty_file_system files;
  running_engine db{options_on(files)};
  // The last round's memory is given back while the engine is destroyed, or before.
  for (int round = 0; round < 4; ++round) {
    const auto end = std::chrono::steady_clock::now() + std::chrono::minutes{5};
    while (db.put("again", std::string(limit / 4, 'v')).code != op_code::ok) {
      REQUIRE(std::chrono::steady_clock::now() < end);
      std::this_thread::yield();
    }
    fill(db, 1'000);
    std::vector<durable_target> waits;
    REQUIRE(db->transact(
                {}, {.all_shards = true},
                [](transaction& t) {
                  t.clear(durability::unspecified, transaction::freeing::behind);
                  return transaction_end::commit;
                },
                waits) == op_code::ok);
    CHECK(db.read("again").code == op_code::not_found);
    CHECK(db.read("key0").code == op_code::not_found);
  }
}

TEST_CASE("threads that fill the memory together stay within the limit",
          "[storage][memory][threads]") {
  faulty_file_system files;
  running_engine db{options_on(files)};
  std::atomic<std::uint64_t> refused{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&, t] {
      std::mt19937_64 random{static_cast<std::uint64_t>(t)};
      value_arena arena;
      for (int i = 0; i < 10'000; ++i) {
        const auto key = std::to_string(random() % 20'000);
        const std::string value(random() % 2'000, 'v');
        const operation op{
            .kind = random() % 8 == 0 ? op_kind::erase : op_kind::put, .key = key, .value = value};
        op_reply reply;
        arena.clear();
        db->execute({&op, 1}, {&reply, 1}, arena);
        refused += reply.code == op_code::no_space;
      }
    });
  for (auto& t : threads) t.join();
  CHECK(refused > 0);
  CHECK(memory_of(*db) <= limit + 200'000);
  CHECK(memory_of(*db) >= limit / 2);
}

TEST_CASE("a shard takes from the budget what it needs and gives back what it does not",
          "[storage][memory]") {
  memory_budget budget;
  budget.set_limit(1'000'000, 4);
  CHECK(budget.block() == 16 * 1024);
  CHECK(budget.try_take(900'000));
  CHECK_FALSE(budget.try_take(100'001));
  CHECK(budget.try_take(100'000));
  budget.give_back(500'000);
  CHECK(budget.try_take(500'000));
  budget.take(5);
  CHECK_FALSE(budget.try_take(0));
  CHECK(default_memory_limit() > 0);
}

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
TEST_CASE("memory that the system refuses is a refusal of one write, not the end of the process",
          "[storage][memory]") {
  // In a process of its own, which the system gives no more memory after a while.
  const auto child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    engine_options options;
    options.shard_count = 4;
    options.max_memory_bytes = std::uint64_t{1} << 40;
    auto opened = engine::open(options);
    if (!opened) ::_exit(2);
    auto& db = **opened;
    std::uint64_t pages = 0; // of private memory that can be written, the sixth number
    std::ifstream statm{"/proc/self/statm"};
    for (int i = 0; i < 6; ++i) statm >> pages;
    const rlim_t most = pages * 4'096 + (64u << 20);
    const rlimit bytes{.rlim_cur = most, .rlim_max = most};
    if (::setrlimit(RLIMIT_DATA, &bytes) != 0) ::_exit(3);
    const std::string value(500, 'v');
    value_arena arena;
    op_reply reply;
    int count = 0;
    const auto run = [&](op_kind kind, const std::string& key) {
      const operation op{.kind = kind, .key = key, .value = value};
      arena.clear();
      db.execute({&op, 1}, {&reply, 1}, arena);
      return reply.code;
    };
    while (run(op_kind::put, "key" + std::to_string(count)) == op_code::ok) ++count;
    if (reply.code != op_code::no_space || count < 1'000) ::_exit(4);
    for (int i = 0; i < count; ++i)
      if (run(op_kind::exists, "key" + std::to_string(i)) != op_code::ok) ::_exit(5);
    if (run(op_kind::exists, "key" + std::to_string(count)) != op_code::not_found) ::_exit(6);
    for (int i = 0; i < count / 2; ++i)
      if (run(op_kind::erase, "key" + std::to_string(i)) != op_code::ok) ::_exit(7);
    for (int i = 0; i < count / 4; ++i)
      if (run(op_kind::put, "new" + std::to_string(i)) != op_code::ok) ::_exit(8);
    ::_exit(0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
#endif
