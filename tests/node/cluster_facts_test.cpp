#include "cluster/node/cluster_facts.hpp"
#include "cluster/node/node_file.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

using namespace warp;
using namespace warp::cluster;
using namespace warp::cluster::replication;
using Catch::Matchers::ContainsSubstring;

namespace {

const auto names = *etcd::key_names::of("c");

/// A boot of the n-th start, and of the i-th copy that began anew in it.
boot_id boot(std::uint64_t n, std::uint64_t i = 0) {
  return boot_id{(n << boots_of_a_start_bits) + i};
}

etcd::key_value node(std::uint32_t id, boot_id b) {
  const etcd::node_record record{b, 1, "z", "h:1", "h:2", "h:3", "h:4", "h:5"};
  return {names.node(node_id{id}), etcd::to_value(record), 1, 9, 4};
}

etcd::key_value shard(std::uint32_t id, const etcd::shard_record& record) {
  return {names.shard(shard_id{id}), etcd::to_value(record), 1, 10 + id, 0};
}

const etcd::shard_record two_members{
    7, {node_id{1}, boot(5)}, {{node_id{1}, boot(5)}, {node_id{2}, boot(6, 3)}}, {node_id{3}}, 0};

} // namespace

TEST_CASE("facts: what one key says wrongly does not hide the others") {
  etcd::range_answer list;
  list.keys = {node(1, boot(5)),
               shard(0, two_members),
               {names.shard(shard_id{1}), "edited by hand", 1, 11, 0},
               {names.prefix() + "what", "x", 1, 12, 0}};
  const auto facts = read_facts(names, list);
  CHECK(facts.nodes.size() == 1);
  REQUIRE(facts.shards.contains(shard_id{0}));
  CHECK(facts.shards.at(shard_id{0}).value == two_members);
  CHECK(facts.shards.at(shard_id{0}).revision == 10);
  REQUIRE(facts.refused.size() == 2);
  CHECK_THAT(facts.refused[0].message(), ContainsSubstring("/warp/c/shards/1"));
  CHECK_THAT(facts.refused[1].message(), ContainsSubstring("/warp/c/what"));
}

TEST_CASE("facts: the map has every node that runs or has a place, and tells which run") {
  etcd::range_answer list;
  list.keys = {node(1, boot(5)), node(4, boot(1)), shard(0, two_members)};
  const auto map = make_map(read_facts(names, list), "c", node_id{1}, 2);
  REQUIRE(map.nodes.size() == 4);
  REQUIRE(map.find(node_id{2}));
  CHECK(map.find(node_id{1})->live);
  CHECK(map.find(node_id{1})->resp == "h:3");
  CHECK_FALSE(map.find(node_id{2})->live);
  CHECK(map.find(node_id{4})->live);
  REQUIRE(map.find(node_id{3})); // a learner that has no key
  CHECK_FALSE(map.find(node_id{3})->live);
  REQUIRE(map.shards.size() == 2);
  CHECK(map.shards[0].primary == node_id{1});
  CHECK(map.shards[0].isr == std::vector{node_id{1}, node_id{2}});
  CHECK(map.shards[1].epoch == 0);
}

TEST_CASE(
    "facts: who lives is told with the boot of the copy, where it is of the start that runs") {
  etcd::range_answer list;
  list.keys = {node(1, boot(5)), node(2, boot(6)), node(3, boot(8)), shard(0, two_members)};
  const auto facts = read_facts(names, list);
  const auto of_two = live_members(facts, two_members, node_id{2}, {});
  CHECK(of_two == std::vector<member>{{node_id{1}, boot(5)}, {node_id{3}, boot(8)}});
  // Copy 3 of the sixth start of node 2 is the listed one: its node runs.
  CHECK(live_members(facts, two_members, node_id{1}, {node_id{3}}) ==
        std::vector<member>{{node_id{2}, boot(6, 3)}});
  // Of an older start it is not.
  auto restarted = list;
  restarted.keys[1] = node(2, boot(7));
  CHECK(live_members(read_facts(names, restarted), two_members, node_id{1}, {node_id{3}}) ==
        std::vector<member>{{node_id{2}, boot(7)}});
}
