#include "storage/engine.hpp"
#include "tests/support/engine_fixture.hpp"
#include "tests/support/memory_file_system.hpp"

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <map>
#include <string>
#include <thread>

using namespace warp;
using namespace warp::storage;
using namespace warp::testing;
using namespace std::chrono_literals;

namespace {

constexpr std::uint64_t kib = 1024;

/// Writers pause at 2 MiB - (64 KiB + 3 segments) = 1,792 KiB.
engine_options options_on(file_system& files) {
  auto options = small_options("data");
  options.files = &files;
  options.segment_bytes = 64 * kib;
  options.wal_max_bytes = 2'048 * kib;
  options.log_buffer_bytes = 64 * kib;
  options.checkpoint_log_records = 1u << 30; // checkpoints only because the log presses
  return options;
}

/// An engine whose log is written, and nothing else happens by itself.
struct bare_engine {
  explicit bare_engine(engine_options options) {
    auto opened = engine::open(std::move(options));
    REQUIRE(opened.ok());
    db = std::move(*opened);
    writer = std::jthread{[this](std::stop_token stop) {
      std::stop_callback wake{stop, [this] { db->interrupt_stream(0); }};
      while (!stop.stop_requested()) db->run_stream(0, 10s);
    }};
  }
  op_code put(int n, durability level = durability::async) {
    const auto key = "key" + std::to_string(n % 500);
    const std::string value(1'000, static_cast<char>('a' + n % 26));
    const operation op{.kind = op_kind::put, .level = level, .key = key, .value = value};
    op_reply reply;
    value_arena arena;
    db->execute({&op, 1}, {&reply, 1}, arena);
    return reply.code;
  }
  /// Puts until the log is full; returns how many were done.
  int fill() {
    for (int n = 0;; ++n) {
      REQUIRE(n < 10'000);
      if (const auto code = put(n); code != op_code::ok) {
        REQUIRE(code == op_code::overloaded);
        return n;
      }
    }
  }
  std::unique_ptr<engine> db;
  std::jthread writer;
};

} // namespace

TEST_CASE("without checkpoints writers are turned away before the log is above its limit",
          "[storage][wal][limit]") {
  memory_file_system files;
  auto options = options_on(files);
  options.write_stall_max = 20ms;
  bare_engine e{options};
  CHECK_FALSE(e.db->log_presses());
  const auto done = e.fill();
  CHECK(done > 1'500); // of 1 KB each: the limit is used
  auto log = e.db->stats_of_log();
  CHECK(log.pause_bytes == 1'792 * kib);
  CHECK(log.closed_bytes >= log.pause_bytes);
  CHECK(log.bytes <= options.wal_max_bytes);
  CHECK(log.pauses == 1);
  CHECK(log.paused_ms >= 10);
  CHECK(e.db->log_presses());
  CHECK(e.put(0, durability::sync) == op_code::overloaded);

  // Every shard holds its oldest segment back, so every one is due; then there is room again.
  const auto due = e.db->due_checkpoints();
  CHECK(due.size() == 4);
  for (const auto id : due) REQUIRE(e.db->checkpoint(id).ok());
  log = e.db->stats_of_log();
  CHECK(log.closed_bytes <= log.pause_bytes / 2);
  CHECK_FALSE(e.db->log_presses());
  CHECK(e.db->due_checkpoints().empty());
  CHECK(e.put(0, durability::sync) == op_code::ok);
  CHECK(e.db->stats_of_log().pauses == 1);
}

TEST_CASE("a writer that waits at the log's limit goes on when a checkpoint has made room",
          "[storage][wal][limit]") {
  memory_file_system files;
  auto options = options_on(files);
  options.write_stall_max = 10min;
  bare_engine e{options};
  std::atomic<int> done{0};
  std::thread writer{[&] {
    for (int n = 0; n < 2'500; ++n) {
      if (e.put(n) != op_code::ok) return;
      ++done;
    }
  }};
  const auto stalls = [&] {
    std::uint64_t n = 0;
    for (std::uint32_t i = 0; i < 4; ++i) n += e.db->stats(shard_id{i}).stalls;
    return n;
  };
  for (std::uint64_t seen = 0; done < 2'500; std::this_thread::yield()) {
    if (e.db->stats_of_log().pauses == seen) continue;
    ++seen;
    for (const auto id : e.db->due_checkpoints()) REQUIRE(e.db->checkpoint(id).ok());
  }
  writer.join();
  CHECK(done == 2'500);
  CHECK(stalls() > 0);
  CHECK(e.db->stats_of_log().bytes <= options.wal_max_bytes);
}

TEST_CASE("a shard that has a newer checkpoint does not hold the log back",
          "[storage][wal][limit]") {
  memory_file_system files;
  auto options = options_on(files);
  options.write_stall_max = 20ms;
  bare_engine e{options};
  e.fill();
  const auto due = e.db->due_checkpoints();
  REQUIRE(due.size() == 4);
  REQUIRE(e.db->checkpoint(due[0]).ok());
  REQUIRE(e.db->checkpoint(due[1]).ok());
  auto left = e.db->due_checkpoints();
  CHECK(left.size() == 2);
  for (const auto id : left) {
    CHECK(id != due[0]);
    CHECK(id != due[1]);
  }
}

TEST_CASE("a sweep does not wait at the log's limit", "[storage][wal][limit]") {
  memory_file_system files;
  auto options = options_on(files);
  options.write_stall_max = 20ms;
  bare_engine e{options};
  const operation op{.kind = op_kind::put, .key = "expired", .value = "v", .expires_at_ms = 1};
  op_reply reply;
  value_arena arena;
  e.db->execute({&op, 1}, {&reply, 1}, arena);
  REQUIRE(reply.code == op_code::ok);
  e.fill();
  const auto shard = e.db->shard_of("expired");
  const auto stalls = e.db->stats(shard).stalls;
  CHECK(e.db->sweep_expired(shard, 1'000'000) == 0);
  CHECK(e.db->stats(shard).stalls == stalls);
  for (const auto id : e.db->due_checkpoints()) REQUIRE(e.db->checkpoint(id).ok());
  CHECK(e.db->sweep_expired(shard, 1'000'000) == 1);
}

TEST_CASE("the log stays below its limit while threads write many times as much",
          "[storage][wal][limit]") {
  memory_file_system files;
  auto options = options_on(files);
  options.direct = GENERATE(direct_io::on, direct_io::off);
  std::map<std::string, std::string> expected;
  {
    running_engine db{options};
    std::atomic<bool> stop{false};
    std::uint64_t most = 0;
    std::jthread sampler{[&] {
      while (!stop) {
        most = std::max(most, db->stats_of_log().bytes);
        std::this_thread::yield();
      }
    }};
    std::vector<std::map<std::string, std::string>> written(3);
    std::atomic<int> failures{0};
    {
      std::vector<std::jthread> writers;
      for (std::size_t t = 0; t < written.size(); ++t)
        writers.emplace_back([&, t] {
          value_arena arena;
          for (int n = 0; n < 5'000; ++n) { // 15 MB in all
            const auto key = std::to_string(t) + "-" + std::to_string(n % 100);
            const std::string value = std::to_string(n) + std::string(900, 'v');
            const operation op{.kind = op_kind::put, .key = key, .value = value};
            op_reply reply;
            db->execute({&op, 1}, {&reply, 1}, arena);
            if (reply.code != op_code::ok) ++failures;
            written[t][key] = value;
          }
        });
    }
    stop = true;
    sampler.join();
    CHECK(failures == 0);
    CHECK(most > options.wal_max_bytes / 2);
    CHECK(most <= options.wal_max_bytes);
    const auto log = db->stats_of_stream(0);
    CHECK(log.segments_recycled > 2 * log.segments_created);
    REQUIRE(db.put("last", "1", durability::sync).code == op_code::ok);
    for (auto& w : written) expected.merge(w);
    expected["last"] = "1";
    for (std::uint32_t i = 0; i < 4; ++i) // what is on disk is what was written
      db->request_sync(shard_id{i});
    REQUIRE(db.stop().ok());
  }
  running_engine db{options};
  std::map<std::string, std::string> found;
  for (auto& [key, value] : db.everything()) found[key] = value;
  CHECK(found == expected);
}
