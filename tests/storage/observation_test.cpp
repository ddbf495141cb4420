#include "storage/key_hash.hpp"
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
                         .keys_one_in = 0,
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

/// No window is sampled, and every access of one key in three.
engine_options watching_keys() {
  auto options = watched_options();
  options.observation.windows_one_in = 0xffff'ffff;
  options.observation.keys_one_in = 3;
  options.observation.capacity = 1 << 16;
  return options;
}

constexpr int key_count = 90;

std::string key(int i) {
  return "some:key:" + std::to_string(i);
}

bool is_watched(int i, std::uint32_t one_in) {
  return key_hash(key(i)) < physics::observer::watched_below(one_in);
}

/// What was told of each key, the kinds apart; and that it was told of watched ones alone.
std::map<std::string, std::map<physics::access_kind, int>> told_of(engine& e,
                                                                   std::uint32_t one_in) {
  std::map<std::string, std::map<physics::access_kind, int>> out;
  for (const auto& s : drain(e).samples) {
    CHECK(s.window == 0);
    CHECK(s.watched);
    CHECK(key_hash(s.key()) < physics::observer::watched_below(one_in));
    ++out[std::string{s.key()}][s.kind];
  }
  return out;
}

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

TEST_CASE("a watched key's every access is told, however it came, and no other's",
          "[storage][observation]") {
  running_engine e{watching_keys()};
  fill(e, key_count);
  e->observe_accesses(true);
  value_arena arena;
  const auto all = [&](const auto& use) {
    for (int i = 0; i < key_count; ++i) use(key(i));
  };
  std::vector<std::string> keys;
  all([&](const auto& k) { keys.push_back(k); });
  // 200 gets of each on the fast way, where one in 64 of a shard is timed
  for (int round = 0; round < 200; ++round)
    all([&](const auto& k) {
      REQUIRE(e.run({.kind = op_kind::get, .key = k, .value = {}, .request = {}}).code ==
              op_code::ok);
    });
  auto told = told_of(*e, 3);
  int watched = 0;
  for (int i = 0; i < key_count; ++i) {
    watched += is_watched(i, 3);
    CHECK(told[key(i)][physics::access_kind::read] == (is_watched(i, 3) ? 200 : 0));
  }
  CHECK(watched > 15);
  CHECK(watched < 45);

  // A batch of reads, one with a write in it, an atomic one, a write alone, and a transaction
  const auto operations = gets(keys);
  execute(e, operations, arena);
  auto mixed = operations;
  const operation write{.kind = op_kind::put, .key = "some:other:key", .value = "v", .request = {}};
  mixed.push_back(write);
  execute(e, mixed, arena);
  std::vector<op_reply> replies(key_count);
  REQUIRE(e->execute_atomic(operations, replies, arena) == op_code::ok);
  all([&](const auto& k) { REQUIRE(e.put(k, "again").code == op_code::ok); });
  std::vector<std::string_view> views{keys.begin(), keys.end()};
  std::vector<durable_target> waits;
  REQUIRE(e->transact(
              views, {},
              [&](transaction& t) {
                for (const auto k : views) REQUIRE(t.find(k));
                return transaction_end::commit;
              },
              waits) == op_code::ok);
  // Gathered from connections: told once, also when there is a single one
  {
    const told_streams streams{*e};
    REQUIRE(streams);
    e->execute(operations, replies, arena);
  }
  all([&](const auto& k) {
    const operation op{.kind = op_kind::get, .key = k, .value = {}, .request = {}};
    op_reply reply;
    told_streams streams{*e};
    e->execute({&op, 1}, {&reply, 1}, arena);
    streams.tell(7, {&op, 1}, {&reply, 1});
  });
  all([&](const auto& k) { REQUIRE(e.erase(k).code == op_code::ok); });
  all([&](const auto& k) { REQUIRE(e.erase(k).code == op_code::not_found); }); // of nothing
  told = told_of(*e, 3);
  for (int i = 0; i < key_count; ++i) {
    auto& of = told[key(i)];
    CAPTURE(i);
    CHECK(of[physics::access_kind::read] == (is_watched(i, 3) ? 5 : 0));
    CHECK(of[physics::access_kind::write] == (is_watched(i, 3) ? 1 : 0));
    CHECK(of[physics::access_kind::remove] == (is_watched(i, 3) ? 1 : 0));
  }
}

TEST_CASE("how many keys are watched changes at any time, and none are while nobody observes",
          "[storage][observation]") {
  running_engine e{watching_keys()};
  fill(e, key_count);
  value_arena arena;
  const auto get_all = [&] {
    for (int i = 0; i < key_count; ++i)
      REQUIRE(e.run({.kind = op_kind::get, .key = key(i), .value = {}, .request = {}}).code ==
              op_code::ok);
    execute(e, gets({key(1), key(2), key(3)}), arena);
  };
  get_all();
  CHECK(drain(*e).samples.empty());
  e->observe_accesses(true);
  for (const std::uint32_t one_in : {1u, 2u, 0u, 10u}) {
    e->watch_keys(one_in);
    get_all();
    const auto told = told_of(*e, one_in);
    for (int i = 0; i < key_count; ++i) {
      CAPTURE(i, one_in);
      CHECK(told.contains(key(i)) == (one_in != 0 && is_watched(i, one_in)));
    }
  }
  e->observe_accesses(false);
  get_all();
  CHECK(drain(*e).samples.empty());
}

TEST_CASE("what watched keys have no room for is dropped or passed over, and no request is lost",
          "[storage][observation]") {
  auto options = watching_keys();
  options.observation.keys_one_in = 1;
  SECTION("no room") {
    options.observation.capacity = 16;
  }
  SECTION("no budget") {
    options.observation.samples_per_s_max = 320; // 16 in 50 ms
  }
  const bool has_room = options.observation.capacity > 16;
  running_engine e{options};
  e->observe_accesses(true);
  fill(e, 1'000);
  std::size_t samples = 0;
  const auto done = e->drain_samples([&](auto some) { samples += some.size(); });
  CHECK(samples >= 16);
  CHECK(samples + done.dropped + done.passed == 1'000);
  CHECK((has_room ? done.passed : done.dropped) > 0);
  for (int i = 0; i < 1'000; ++i)
    REQUIRE(e.run({.kind = op_kind::get, .key = key(i), .value = {}, .request = {}}).code ==
            op_code::ok);
}
