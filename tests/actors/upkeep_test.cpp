#include "actors/upkeep.hpp"

#include "actors/checkpointer.hpp"
#include "actors/node.hpp"
#include "actors/shard_life.hpp"
#include "tests/actors/actor_fixture.hpp"
#include "tests/support/engine_fixture.hpp"
#include "tests/support/memory_file_system.hpp"

#include <catch2/catch_test_macros.hpp>

#include <thread>

using namespace warp;
using namespace warp::actors;
using namespace std::chrono_literals;

namespace {

struct manual_clock final : storage::clock {
  [[nodiscard]] std::uint64_t now_us() const noexcept override { return us; }
  std::atomic<std::uint64_t> us{1'700'000'000'000'000};
};

/// Shards, checkpointer and upkeep over a real engine, in virtual time.
struct fixture : actor_fixture {
  fixture() {
    auto options = testing::small_options("data");
    options.files = &files;
    options.time = time;
    options.checkpoint_log_records = 10;
    options.segment_bytes = 64 * 1024;
    options.wal_max_bytes = 2u << 20;
    auto opened = storage::engine::open(options);
    REQUIRE(opened);
    n.emplace(std::move(*opened));
    n->registry = registry;
    threads.emplace(*n->engine);
    auto branch = supervisor_child("storage", [this] {
      supervisor_spec spec{.registry = registry};
      for (std::uint32_t i = 0; i < n->engine->shard_count(); ++i)
        spec.children.push_back(shard_life(*n, shard_id{i}));
      spec.children.push_back(checkpointer(*n));
      spec.children.push_back(upkeep(*n));
      return spec;
    });
    auto root = supervisor_spec{.children = {branch}, .registry = registry};
    start_as("universe", std::move(root));
  }
  ~fixture() {
    stop();
    run_until([&] { return node("universe").state == node_state::stopped; });
  }

  /// On disk when it returns: what is logged but not written yet does not count as log.
  void put(const std::string& key, std::uint64_t expires_at_ms = 0, std::string_view value = "v") {
    operation op{.kind = op_kind::put,
                 .level = durability::sync,
                 .key = key,
                 .value = value,
                 .expires_at_ms = expires_at_ms};
    storage::op_reply reply;
    storage::value_arena arena;
    n->engine->execute({&op, 1}, {&reply, 1}, arena);
    REQUIRE(reply.code == op_code::ok);
    REQUIRE(n->engine->wait_durable({&reply, 1}, std::chrono::steady_clock::now() + 60s) ==
            op_code::ok);
  }
  std::uint64_t checkpoints() {
    std::uint64_t count = 0;
    for (std::uint32_t i = 0; i < 4; ++i) count += n->engine->stats(shard_id{i}).checkpoints;
    return count;
  }
  /// The checkpointer has a thread of its own: lets the others run until it has done its part.
  void run_until(const std::function<bool()>& condition) {
    const auto deadline = std::chrono::steady_clock::now() + 60s;
    while (!condition()) {
      REQUIRE(std::chrono::steady_clock::now() < deadline);
      scheduler.run();
      std::this_thread::yield();
    }
  }

  testing::memory_file_system files;
  std::shared_ptr<manual_clock> time = std::make_shared<manual_clock>();
  std::optional<warp::actors::node> n;
  std::optional<storage::stream_threads> threads;
};

} // namespace

TEST_CASE_METHOD(fixture, "an idle universe costs one message a second, whatever its shards",
                 "[actors][upkeep]") {
  put("a key that does not expire");
  for (int i = 0; i < 60; ++i) pass(1s);
  CHECK(n->upkeep_turns == 60);
  CHECK(n->upkeep_orders == 0);
}

TEST_CASE_METHOD(fixture, "a shard that is due gets its checkpoint, an unchanged one none",
                 "[actors][upkeep]") {
  for (int i = 0; i < 50; ++i) put("{one shard}" + std::to_string(i));
  pass(1s);
  run_until([&] { return checkpoints() == 1; });
  for (int i = 0; i < 5; ++i) pass(1s);
  CHECK(checkpoints() == 1);
  CHECK(n->upkeep_orders == 1);
}

TEST_CASE_METHOD(fixture,
                 "all shards that are due follow one another without waiting for the next turn",
                 "[actors][upkeep]") {
  for (int i = 0; i < 400; ++i) put("key " + std::to_string(i));
  pass(1s);
  run_until([&] { return checkpoints() == 4; });
  CHECK(n->upkeep_turns == 1);
}

TEST_CASE_METHOD(fixture, "a log that nears its limit is met with checkpoints before the next turn",
                 "[actors][upkeep]") {
  for (int i = 0; !n->engine->log_presses(); ++i) {
    REQUIRE(i < 10'000);
    put("key " + std::to_string(i), 0, std::string(4'000, 'v'));
  }
  run_until([&] { return !n->engine->log_presses(); });
  CHECK(checkpoints() > 0);
  CHECK(n->upkeep_turns == 0);
}

TEST_CASE_METHOD(fixture, "a checkpointer that dies is replaced and the shard stays due",
                 "[actors][upkeep]") {
  REQUIRE(registry->kill("universe/storage/checkpointer"));
  run_until([&] { return node("universe/storage/checkpointer").restarts == 1; });
  for (int i = 0; i < 50; ++i) put("{one shard}" + std::to_string(i));
  run_until([&] {
    pass(1s);
    return checkpoints() == 1;
  });
}

TEST_CASE_METHOD(fixture,
                 "what has expired is swept within some turns, without anybody asking for it",
                 "[actors][upkeep]") {
  for (int i = 0; i < 1'000; ++i) put("key " + std::to_string(i), time->now_ms() + 5'000);
  put("stays");
  auto keys = [&] {
    std::uint64_t count = 0;
    for (std::uint32_t i = 0; i < 4; ++i) count += n->engine->stats(shard_id{i}).table.keys;
    return count;
  };
  for (int i = 0; i < 8; ++i) pass(1s);
  CHECK(keys() == 1'001);
  time->us += 10'000'000;
  for (int i = 0; i < 16; ++i) pass(1s);
  CHECK(keys() == 1);
}
