#include "storage/told_streams.hpp"
#include "storage/transaction.hpp"
#include "tests/support/engine_fixture.hpp"

#include <catch2/catch_test_macros.hpp>
#include <map>
#include <set>
#include <string>
#include <thread>
#include <vector>

using namespace warp;
using namespace warp::storage;
using warp::testing::running_engine;

namespace {

/// Everything is sampled, as far as there is room.
engine_options watched_options() {
  auto options = warp::testing::small_options({});
  options.default_level = durability::memory;
  options.observation = {.windows_one_in = 1,
                         .keys_one_in = 0xffff'ffff,
                         .window_ms = 3'600'000, // a test may take its time
                         .window_accesses_max = 1'000,
                         .samples_per_s_max = 100'000'000,
                         .capacity = 4'096};
  return options;
}

struct seen {
  std::vector<physics::access_sample> samples;
  std::map<std::uint32_t, std::multiset<std::string>> windows;
};

seen drain(engine& from) {
  seen out;
  from.drain_samples([&](std::span<const physics::access_sample> some) {
    for (const auto& s : some) {
      out.samples.push_back(s);
      out.windows[s.window].insert(std::string{s.key()});
    }
  });
  return out;
}

void fill(running_engine& e, int keys) {
  for (int i = 0; i < keys; ++i)
    REQUIRE(e.put("some:key:" + std::to_string(i), "value").code == op_code::ok);
}

std::vector<operation> gets(const std::vector<std::string>& keys) {
  std::vector<operation> out;
  for (const auto& k : keys)
    out.push_back({.kind = op_kind::get, .key = k, .value = {}, .request = {}});
  return out;
}

void execute(running_engine& e, const std::vector<operation>& operations, value_arena& arena) {
  std::vector<op_reply> replies(operations.size());
  e->execute(operations, replies, arena);
}

using names = std::multiset<std::string>;

} // namespace

TEST_CASE("nothing is sampled while nobody observes", "[storage][observation]") {
  running_engine e{watched_options()};
  fill(e, 10);
  CHECK_FALSE(e->observes_accesses());
  CHECK(drain(*e).samples.empty());
  e->observe_accesses(true);
  CHECK(e->observes_accesses());
  fill(e, 10);
  CHECK(drain(*e).samples.size() == 10);
  e->observe_accesses(false);
  fill(e, 10);
  CHECK(drain(*e).samples.empty());
}

TEST_CASE("a batch is a window, whatever it does", "[storage][observation]") {
  running_engine e{watched_options()};
  fill(e, 10);
  e->observe_accesses(true);
  value_arena arena;
  const std::vector<std::string> first{"some:key:1", "some:key:2", "absent:key"},
      second{"some:key:3", "some:key:4"};
  execute(e, gets(first), arena);
  execute(e, gets(second), arena);
  auto writes = gets({"some:key:5"});
  writes.push_back({.kind = op_kind::put, .key = "some:key:6", .value = "new", .request = {}});
  writes[0].key = first[0];
  execute(e, writes, arena);
  std::vector<op_reply> replies(2);
  REQUIRE(e->execute_atomic(gets(second), replies, arena) == op_code::ok);
  const auto found = drain(*e);
  REQUIRE(found.windows.size() == 4);
  std::multiset<names> windows;
  for (const auto& [id, keys] : found.windows) windows.insert(keys);
  CHECK(windows == std::multiset<names>{{"some:key:1", "some:key:2"},
                                        {"some:key:3", "some:key:4"},
                                        {"some:key:3", "some:key:4"},
                                        {"some:key:1", "some:key:6"}});
  for (const auto& s : found.samples) {
    CHECK(s.together);
    CHECK(s.shard == e->shard_of(s.key()).value);
    CHECK(s.bytes == (s.key() == "some:key:6" ? 3 : 5));
    CHECK((s.kind == physics::access_kind::write) == (s.key() == "some:key:6"));
  }
}

TEST_CASE("in a sampled window no get passes by unseen", "[storage][observation]") {
  running_engine e{watched_options()};
  fill(e, 100);
  e->observe_accesses(true);
  for (int round = 0; round < 5; ++round)
    for (int i = 0; i < 100; ++i) {
      const auto key = "some:key:" + std::to_string(i);
      REQUIRE(e.run({.kind = op_kind::get, .key = key, .value = {}, .request = {}}).code ==
              op_code::ok);
    }
  // The first ones may have been on the fast way: one in 64 of a shard is looked at there.
  const auto found = drain(*e);
  CHECK(found.samples.size() >= 500 - 4 * 64);
  CHECK(found.windows.size() == 1);
}

TEST_CASE("connections that share a thread have windows of their own", "[storage][observation]") {
  running_engine e{watched_options()};
  fill(e, 10);
  e->observe_accesses(true);
  value_arena arena;
  const auto get = [&](const std::string& key) { execute(e, gets({key}), arena); };
  SECTION("told before single operations") {
    for (int i = 0; i < 4; ++i) {
      e->begin_stream(7);
      get("some:key:" + std::to_string(i));
      e->begin_stream(8);
      get("some:key:" + std::to_string(i + 4));
    }
  }
  SECTION("told after a batch that was gathered from them") {
    std::vector<std::string> keys;
    for (int i = 0; i < 8; ++i) keys.push_back("some:key:" + std::to_string(i));
    const auto operations = gets(keys);
    std::vector<op_reply> replies(8);
    told_streams streams{*e};
    e->execute(operations, replies, arena);
    REQUIRE(streams);
    streams.tell(7, std::span{operations}.first(4), std::span{replies}.first(4));
    streams.tell(8, std::span{operations}.subspan(4), std::span{replies}.subspan(4));
  }
  const auto found = drain(*e);
  std::multiset<names> windows;
  for (const auto& [id, some] : found.windows) windows.insert(some);
  CHECK(windows == std::multiset<names>{{"some:key:0", "some:key:1", "some:key:2", "some:key:3"},
                                        {"some:key:4", "some:key:5", "some:key:6", "some:key:7"}});
  for (const auto& s : found.samples) CHECK_FALSE(s.together);
}

TEST_CASE("operations between two beginnings are one request", "[storage][observation]") {
  running_engine e{watched_options()};
  fill(e, 10);
  e->observe_accesses(true);
  value_arena arena;
  const std::vector<std::string> some{"some:key:2", "some:key:3"};
  e->begin_request(3);
  REQUIRE(e.put("some:key:1", "v").code == op_code::ok);
  execute(e, gets(some), arena);
  e->begin_stream(1);
  REQUIRE(e.put("some:key:4", "v").code == op_code::ok);
  const auto found = drain(*e);
  REQUIRE(found.windows.size() == 2);
  for (const auto& [id, keys] : found.windows)
    CHECK((keys == names{"some:key:1", "some:key:2", "some:key:3"} || keys == names{"some:key:4"}));
}

TEST_CASE("threads are sampled each by itself while it is switched and drained",
          "[storage][observation]") {
  running_engine e{watched_options()};
  fill(e, 100);
  std::atomic<bool> over{false};
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t)
    threads.emplace_back([&, t] {
      value_arena arena;
      std::vector<std::string> keys;
      for (int i = 0; i < 20; ++i) keys.push_back("some:key:" + std::to_string(t * 20 + i));
      const auto operations = gets(keys);
      while (!over) {
        execute(e, operations, arena);
        for (const auto& op : operations) {
          op_reply reply;
          e->execute({&op, 1}, {&reply, 1}, arena);
        }
        arena.clear();
      }
    });
  std::size_t samples = 0;
  for (int i = 0; i < 200 || samples == 0; ++i) {
    e->observe_accesses(i % 4 != 3);
    for (const auto& [window, keys] : drain(*e).windows) {
      samples += keys.size();
      // Of one thread, so of its keys only.
      std::set<int> of;
      for (const auto& key : keys) of.insert(std::stoi(key.substr(9)) / 20);
      REQUIRE(of.size() == 1);
    }
    std::this_thread::yield();
  }
  over = true;
  for (auto& t : threads) t.join();
  CHECK(samples > 0);
}

TEST_CASE("a transaction over several keys is a request, and what follows is not",
          "[storage][observation]") {
  running_engine e{watched_options()};
  fill(e, 10);
  e->observe_accesses(true);
  const std::vector<std::string_view> keys{"some:key:1", "some:key:2", "some:key:3"};
  std::vector<durable_target> waits;
  const auto body = [&](transaction& t) {
    REQUIRE(t.find(keys[0]));
    REQUIRE(t.find(keys[1]));
    op_reply reply;
    t.apply({.kind = op_kind::put, .key = keys[2], .value = "new", .request = {}}, reply);
    return transaction_end::commit;
  };
  REQUIRE(e->transact(keys, {}, body, waits) == op_code::ok);
  REQUIRE(e.put("some:key:4", "v").code == op_code::ok);
  const auto found = drain(*e);
  REQUIRE(found.windows.size() == 2);
  for (const auto& [id, some] : found.windows)
    CHECK((some == names{"some:key:1", "some:key:2", "some:key:3"} || some == names{"some:key:4"}));
}
