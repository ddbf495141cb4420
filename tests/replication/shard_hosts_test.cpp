#include "cluster/shard_hosts.hpp"

#include "tests/replication/lone_node.hpp"

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

using namespace warp;
using namespace std::chrono_literals;
using storage::durable_state;
using storage::op_reply;
using warp::testing::lone_node;

namespace {

operation put(std::string_view key, std::string_view value,
              durability level = durability::unspecified) {
  return {.kind = op_kind::put, .level = level, .key = key, .value = value};
}
operation get(std::string_view key) {
  return {.kind = op_kind::get, .key = key};
}

op_reply execute(lone_node& node, const operation& op, storage::value_arena& arena) {
  op_reply reply;
  node.engine().execute({&op, 1}, {&reply, 1}, arena);
  return reply;
}

durable_state state_of(lone_node& node, const op_reply& reply) {
  return node.engine().durable(reply.shard, reply.durable_at);
}

/// Some key of a shard.
std::string key_of(lone_node& node, shard_id shard) {
  for (int i = 0;; ++i)
    if (auto key = "key" + std::to_string(i); node.engine().shard_of(key) == shard) return key;
}

} // namespace

TEST_CASE("the engine of a replicated universe answers with tickets of its copies",
          "[replication][hosts]") {
  lone_node node{4};
  storage::value_arena arena;
  const auto written = execute(node, put("a", "1"), arena);
  CHECK(written.code == op_code::ok);
  REQUIRE(written.durable_at != 0);
  CHECK(state_of(node, written) == durable_state::pending);

  const auto seen = execute(node, get("a"), arena); // it depends on the write
  CHECK(seen.value == "1");
  REQUIRE(seen.durable_at != 0);
  CHECK(state_of(node, seen) == durable_state::pending);
  CHECK(execute(node, get("b"), arena).durable_at == 0);

  const auto told = node.times_told();
  node.settle();
  CHECK(state_of(node, written) == durable_state::durable);
  CHECK(state_of(node, seen) == durable_state::durable);
  CHECK(node.times_told() >= told + 2); // of the round, and of the tickets
  CHECK(execute(node, get("a"), arena).durable_at == 0);
}

TEST_CASE("a batch is executed shard by shard, with the order of each key kept",
          "[replication][hosts]") {
  lone_node node{4};
  storage::value_arena arena;
  std::vector<std::string> keys;
  std::vector<operation> ops;
  std::vector<std::string> expected;
  for (int i = 0; i < 100; ++i) keys.push_back("key" + std::to_string(i % 20));
  for (int i = 0; i < 100; ++i)
    ops.push_back(
        {.kind = op_kind::increment, .key = keys[static_cast<std::size_t>(i)], .delta = 1});
  std::vector<op_reply> replies(ops.size());
  node.engine().execute(ops, replies, arena);
  for (std::size_t i = 0; i < ops.size(); ++i) {
    CAPTURE(i);
    CHECK(replies[i].code == op_code::ok);
    CHECK(replies[i].number == static_cast<std::int64_t>(i / 20 + 1));
    CHECK(replies[i].shard == node.engine().shard_of(ops[i].key));
  }
  CHECK(node.engine().wait_durable(replies, std::chrono::steady_clock::now()) ==
        op_code::timed_out);
  node.settle();
  CHECK(node.engine().wait_durable(replies, std::chrono::steady_clock::now()) == op_code::ok);
}

TEST_CASE("a level that is reached at once needs no ticket", "[replication][hosts]") {
  lone_node node{1};
  storage::value_arena arena;
  const auto reply = execute(node, put("a", "1", durability::async), arena);
  CHECK(reply.code == op_code::ok);
  CHECK(reply.durable_at == 0);
}

TEST_CASE("a copy that is deposed fails its tickets, refuses, and is passed over by scans",
          "[replication][hosts]") {
  lone_node node{2};
  storage::value_arena arena;
  const auto lost = key_of(node, shard_id{0}), kept = key_of(node, shard_id{1});
  const auto first = execute(node, put(lost, "1"), arena);
  execute(node, put(kept, "1"), arena);
  node.settle();
  storage::scan_page page;
  REQUIRE(node.engine().scan(0, "", 100, page).ok());
  CHECK(page.entries.size() == 2);

  const auto pending = execute(node, put(lost, "2"), arena);
  const auto seen = execute(node, get(lost), arena);
  CHECK(state_of(node, pending) == durable_state::pending);
  const auto told = node.times_told();
  node.depose(shard_id{0});
  CHECK(node.times_told() > told);
  CHECK(state_of(node, pending) == durable_state::failed);
  CHECK(state_of(node, seen) == durable_state::failed);
  CHECK(state_of(node, first) == durable_state::durable);
  CHECK(node.engine().wait_durable({&pending, 1}, std::chrono::steady_clock::now() + 1h) ==
        op_code::outcome_unknown);

  CHECK(execute(node, get(lost), arena).code == op_code::unavailable);
  CHECK(execute(node, put(lost, "3"), arena).code == op_code::unavailable);
  CHECK(execute(node, get(kept), arena).value == "1");
  REQUIRE(node.engine().scan(0, "", 100, page).ok());
  REQUIRE(page.entries.size() == 1);
  CHECK(page.entries[0].key == kept);
  CHECK(page.next_cursor == 0);
}

TEST_CASE("old tickets read as durable, and as failed once a later one has failed",
          "[replication][hosts]") {
  cluster::ticket_ring ring{4};
  for (int i = 1; i <= 4; ++i) REQUIRE(ring.take() == static_cast<std::uint64_t>(i));
  CHECK_FALSE(ring.has_room());
  CHECK(ring.state(5) == durable_state::failed); // no ticket
  ring.resolve(2, true);
  CHECK_FALSE(ring.has_room()); // it is the first one's place that comes next
  ring.resolve(1, true);
  REQUIRE(ring.has_room());
  CHECK(ring.take() == 5);
  CHECK(ring.state(1) == durable_state::durable);
  CHECK(ring.state(5) == durable_state::pending);
  CHECK(ring.fail_open());
  CHECK(ring.state(3) == durable_state::failed);
  CHECK(ring.state(5) == durable_state::failed);
  CHECK(ring.state(2) == durable_state::durable);
  CHECK(ring.state(1) == durable_state::failed); // nobody knows any more
  CHECK_FALSE(ring.fail_open());
  for (int i = 6; i <= 20; ++i) ring.resolve(ring.take(), true);
  CHECK(ring.state(6) == durable_state::durable);
}

TEST_CASE("many threads write, read and wait, and every acknowledged count is there",
          "[replication][hosts]") {
  lone_node node{4};
  constexpr int threads = 3, rounds = 200;
  std::atomic<bool> over{false};
  std::thread disk{[&] {
    while (!over) node.settle();
  }};
  std::atomic<int> wrong{0};
  std::vector<std::thread> clients;
  for (int t = 0; t < threads; ++t)
    clients.emplace_back([&, t] {
      storage::value_arena arena;
      const auto own = "own" + std::to_string(t);
      for (int i = 0; i < rounds; ++i) {
        const operation ops[] = {{.kind = op_kind::increment, .key = "shared", .delta = 1},
                                 {.kind = op_kind::increment, .key = own, .delta = 1},
                                 get(own)};
        op_reply replies[3];
        node.engine().execute(ops, replies, arena);
        if (node.engine().wait_durable(replies, std::chrono::steady_clock::now() + 5min) !=
            op_code::ok)
          ++wrong;
        if (replies[1].number != i + 1 || replies[2].value != std::to_string(i + 1)) ++wrong;
        arena.clear();
      }
    });
  for (auto& c : clients) c.join();
  over = true;
  disk.join();
  CHECK(wrong == 0);
  storage::value_arena arena;
  CHECK(execute(node, get("shared"), arena).value == std::to_string(threads * rounds));
}
