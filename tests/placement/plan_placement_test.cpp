#include "cluster/placement/plan_placement.hpp"

#include "cluster/etcd/desired_placement.hpp"
#include "cluster/placement/placement_change.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/generators/catch_generators_range.hpp>
#include <cstddef>
#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

using namespace warp;
using namespace warp::cluster::placement;
using cluster::replication::node_id;

namespace {

using node_list = std::vector<placement_node>;

/// Nodes 1 to n, in turn in so many zones; 0: nobody says in which.
node_list cluster_of(std::uint32_t n, std::uint32_t zones = 0) {
  node_list nodes;
  for (std::uint32_t i = 1; i <= n; ++i) {
    auto& node = nodes.emplace_back();
    node.id = node_id{i};
    if (zones != 0) node.zone = "zone " + std::to_string(i % zones);
  }
  return nodes;
}

shard_nodes planned(const node_list& nodes, std::uint32_t shards, std::uint32_t rf,
                    const shard_nodes& current = {}) {
  const auto plan = plan_placement(nodes, shards, rf, current);
  INFO(plan.status().to_string());
  REQUIRE(plan);
  return *plan;
}

struct counts {
  std::map<node_id, std::size_t> copies, primaries; ///< of the nodes that stay
};

counts count(const node_list& nodes, const shard_nodes& plan) {
  counts c;
  for (const auto& n : nodes)
    if (!n.leaves) c.copies[n.id] = c.primaries[n.id] = 0;
  for (const auto& shard : plan) {
    for (const auto n : shard) ++c.copies.at(n);
    ++c.primaries.at(shard.front());
  }
  return c;
}

std::size_t spread(const std::map<node_id, std::size_t>& of) {
  const auto [least, most] =
      std::ranges::minmax_element(of, {}, [](const auto& entry) { return entry.second; });
  return most->second - least->second;
}

/// The most copies of one shard in one zone.
std::size_t most_in_zone(const node_list& nodes, const shard_nodes& plan) {
  std::map<node_id, std::string> zone_of;
  for (const auto& n : nodes) zone_of[n.id] = n.zone;
  std::size_t most = 0;
  for (const auto& shard : plan) {
    std::map<std::string, std::size_t> in;
    for (const auto n : shard) most = std::max(most, ++in[zone_of.at(n)]);
  }
  return most;
}

/// What holds of every plan: as many copies as can be, on different nodes that stay.
void check_copies(const node_list& nodes, const shard_nodes& plan, std::uint32_t rf) {
  std::set<node_id> staying;
  for (const auto& n : nodes)
    if (!n.leaves) staying.insert(n.id);
  for (const auto& shard : plan) {
    const std::set<node_id> different(shard.begin(), shard.end());
    REQUIRE(different.size() == shard.size());
    REQUIRE(shard.size() == std::min<std::size_t>(rf, staying.size()));
    REQUIRE(std::ranges::includes(staying, different));
  }
}

std::size_t held_by(const shard_nodes& plan, node_id node) {
  return static_cast<std::size_t>(std::ranges::count_if(
      plan, [&](const auto& shard) { return std::ranges::find(shard, node) != shard.end(); }));
}

} // namespace

TEST_CASE("copies of a new cluster are on different nodes, and even, as are primaries",
          "[placement]") {
  const auto [nodes, shards, rf] =
      GENERATE(table<std::uint32_t, std::uint32_t, std::uint32_t>({{1, 64, 3},
                                                                   {2, 64, 3},
                                                                   {3, 64, 3},
                                                                   {3, 64, 1},
                                                                   {4, 64, 2},
                                                                   {5, 64, 3},
                                                                   {7, 16, 5},
                                                                   {10, 64, 3},
                                                                   {10, 16'384, 3},
                                                                   {13, 128, 7},
                                                                   {100, 1'024, 3},
                                                                   {100, 64, 3}}));
  CAPTURE(nodes, shards, rf);
  const auto all = cluster_of(nodes);
  const auto plan = planned(all, shards, rf);
  REQUIRE(plan.size() == shards);
  check_copies(all, plan, rf);
  const auto c = count(all, plan);
  CHECK(spread(c.copies) <= 1);
  CHECK(spread(c.primaries) <= 1);
  CHECK(planned(all, shards, rf, plan) == plan);
}

TEST_CASE("a plan is the same whatever the order in which the nodes are named", "[placement]") {
  auto nodes = cluster_of(9, 3);
  const auto plan = planned(nodes, 64, 3);
  std::ranges::reverse(nodes);
  CHECK(planned(nodes, 64, 3) == plan);
}

TEST_CASE("a node that joins takes its share, and nothing else moves", "[placement]") {
  const auto [nodes, shards, zones] = GENERATE(table<std::uint32_t, std::uint32_t, std::uint32_t>(
      {{3, 64, 0}, {4, 64, 0}, {9, 64, 5}, {10, 1'024, 0}, {99, 1'024, 5}, {100, 4'096, 0}}));
  CAPTURE(nodes, shards, zones);
  const auto before = planned(cluster_of(nodes, zones), shards, 3);
  const auto all = cluster_of(nodes + 1, zones);
  const auto after = planned(all, shards, 3, before);
  check_copies(all, after, 3);
  const auto c = count(all, after);
  CHECK(spread(c.copies) <= 1);
  CHECK(spread(c.primaries) <= 1);
  const auto share = (shards * 3 + nodes) / (nodes + 1);
  const auto change = change_between(before, after);
  CHECK(change.copies_to_make == held_by(after, node_id{nodes + 1}));
  CHECK(change.copies_to_make <= share);
  CHECK(change.copies_to_drop == change.copies_to_make);
  CHECK(change.primaries_moved <= shards / (nodes + 1) + nodes + 1);
  CHECK(planned(all, shards, 3, after) == after);
}

TEST_CASE("a node that leaves gives up its copies, and no others move", "[placement]") {
  const auto [nodes, shards, zones] = GENERATE(table<std::uint32_t, std::uint32_t, std::uint32_t>(
      {{4, 64, 0}, {5, 64, 0}, {9, 64, 5}, {10, 1'024, 0}, {99, 1'024, 5}, {100, 4'096, 0}}));
  CAPTURE(nodes, shards, zones);
  auto all = cluster_of(nodes, zones);
  const auto before = planned(all, shards, 3);
  all[1].leaves = true;
  const auto after = planned(all, shards, 3, before);
  check_copies(all, after, 3);
  const auto c = count(all, after);
  CHECK(spread(c.copies) <= 1);
  CHECK(spread(c.primaries) <= 1);
  CHECK(change_between(before, after).copies_to_make == held_by(before, node_id{2}));
  CHECK(most_in_zone(all, after) == most_in_zone(all, before));
  all.erase(all.begin() + 1);
  CHECK(planned(all, shards, 3, after) == after);
}

TEST_CASE("a node that is lost and one that leaves are the same to a plan", "[placement]") {
  auto all = cluster_of(6, 3);
  const auto before = planned(all, 64, 3);
  auto without = all;
  without.erase(without.begin() + 3);
  all[3].leaves = true;
  CHECK(planned(all, 64, 3, before) == planned(without, 64, 3, before));
}

TEST_CASE("a node that takes another's place gets what that had", "[placement]") {
  auto all = cluster_of(5);
  const auto before = planned(all, 64, 3);
  all[2].leaves = true;
  all.push_back({.id = node_id{9}});
  const auto after = planned(all, 64, 3, before);
  CHECK(change_between(before, after).copies_to_make == held_by(before, node_id{3}));
  CHECK(held_by(after, node_id{9}) == held_by(before, node_id{3}));
}

TEST_CASE("copies are in different zones where there are enough, else spread over all",
          "[placement]") {
  const auto [nodes, zones, rf] =
      GENERATE(table<std::uint32_t, std::uint32_t, std::uint32_t>({{6, 3, 3},
                                                                   {9, 3, 3},
                                                                   {10, 3, 3},
                                                                   {11, 4, 3},
                                                                   {7, 3, 2},
                                                                   {12, 2, 3},
                                                                   {9, 2, 4},
                                                                   {5, 5, 5},
                                                                   {20, 5, 7}}));
  CAPTURE(nodes, zones, rf);
  const auto all = cluster_of(nodes, zones);
  const auto plan = planned(all, 256, rf);
  check_copies(all, plan, rf);
  CHECK(most_in_zone(all, plan) == (rf + zones - 1) / zones);
  CHECK(planned(all, 256, rf, plan) == plan);
}

TEST_CASE("nodes of zones of unlike size: zones come before balance, balance within them",
          "[placement]") {
  node_list all = cluster_of(12);
  all[0].zone = "a";
  all[1].zone = "b";
  for (std::size_t i = 2; i < all.size(); ++i) all[i].zone = "c";
  const auto plan = planned(all, 64, 3);
  check_copies(all, plan, 3);
  CHECK(most_in_zone(all, plan) == 1);
  auto c = count(all, plan);
  CHECK(c.copies[node_id{1}] == 64);
  CHECK(c.copies[node_id{2}] == 64);
  CHECK(spread(c.primaries) <= 1);
  c.copies.erase(node_id{1});
  c.copies.erase(node_id{2});
  CHECK(spread(c.copies) <= 1);
  CHECK(planned(all, 64, 3, plan) == plan);
}

TEST_CASE("the loss of a zone is made good by the others, and its return takes back its share",
          "[placement]") {
  auto all = cluster_of(12, 4);
  const auto before = planned(all, 256, 3);
  std::size_t lost = 0;
  for (auto& n : all)
    if (n.zone == "zone 2") n.leaves = true, lost += held_by(before, n.id);
  const auto without = planned(all, 256, 3, before);
  check_copies(all, without, 3);
  CHECK(most_in_zone(all, without) == 1);
  CHECK(change_between(before, without).copies_to_make == lost);
  for (auto& n : all) n.leaves = false;
  const auto again = planned(all, 256, 3, without);
  CHECK(most_in_zone(all, again) == 1);
  CHECK(spread(count(all, again).copies) <= 1);
  CHECK(change_between(without, again).copies_to_make == 256 * 3 / 4);
}

TEST_CASE("more copies are added to those that are there, fewer take nothing anywhere",
          "[placement]") {
  const auto [nodes, zones] =
      GENERATE(table<std::uint32_t, std::uint32_t>({{3, 0}, {3, 3}, {5, 0}, {10, 0}, {30, 3}}));
  CAPTURE(nodes, zones);
  const auto all = cluster_of(nodes, zones);
  const auto one = planned(all, 256, 1);
  const auto three = planned(all, 256, 3, one);
  check_copies(all, three, 3);
  CHECK(change_between(one, three).copies_to_make == 512);
  CHECK(change_between(one, three).copies_to_drop == 0);
  CHECK(change_between(one, three).primaries_moved == 0);
  const auto two = planned(all, 256, 2, three);
  check_copies(all, two, 2);
  CHECK(change_between(three, two).copies_to_make == 0);
  CHECK(change_between(three, two).copies_to_drop == 256);
  for (const auto& plan : {one, three, two}) {
    CHECK(spread(count(all, plan).copies) <= 1);
    CHECK(spread(count(all, plan).primaries) <= 1);
  }
}

TEST_CASE("a node of twice the weight gets twice as much", "[placement]") {
  auto all = cluster_of(5);
  all[4].weight = 2;
  const auto plan = planned(all, 960, 2);
  auto c = count(all, plan);
  for (std::uint32_t i = 1; i <= 4; ++i) {
    CHECK(c.copies[node_id{i}] == 320);
    CHECK(c.primaries[node_id{i}] == 160);
  }
  CHECK(c.copies[node_id{5}] == 640);
  CHECK(c.primaries[node_id{5}] == 320);
}

TEST_CASE("the loss of one node of many is made good by most of the others", "[placement]") {
  auto all = cluster_of(20);
  const auto before = planned(all, 1'024, 3);
  std::set<node_id> partners;
  for (const auto& shard : before)
    if (std::ranges::find(shard, node_id{7}) != shard.end())
      partners.insert(shard.begin(), shard.end());
  CHECK(partners.size() >= 18);
}

TEST_CASE("whatever happens to a cluster, its plans keep the rules", "[placement]") {
  const auto seed = GENERATE(range(std::uint32_t{1}, std::uint32_t{61}));
  CAPTURE(seed);
  std::mt19937 random(seed);
  const auto below = [&](std::uint32_t n) { return static_cast<std::uint32_t>(random() % n); };
  const std::uint32_t shards = 1u << (3 + below(6)), zones = below(5);
  std::uint32_t rf = 1 + below(5), next = 2 + below(9);
  auto all = cluster_of(next, zones);
  auto plan = planned(all, shards, rf);
  for (int step = 0; step < 12; ++step) {
    const auto what = below(5);
    if (what <= 1) {
      placement_node n{.id = node_id{++next}};
      if (zones != 0) n.zone = "zone " + std::to_string(below(zones));
      all.push_back(n);
    } else if (what == 2) {
      all[below(static_cast<std::uint32_t>(all.size()))].leaves = below(4) != 0;
    } else if (what == 3) {
      rf = 1 + below(5);
    } else if (all.size() > 1) {
      all.erase(all.begin() + below(static_cast<std::uint32_t>(all.size())));
    }
    if (std::ranges::all_of(all, &placement_node::leaves)) all.front().leaves = false;
    CAPTURE(step, what, rf, all.size());
    const auto before = std::exchange(plan, planned(all, shards, rf, plan));
    check_copies(all, plan, rf);
    std::map<std::string, std::size_t> sizes;
    std::size_t staying = 0;
    for (const auto& n : all)
      if (!n.leaves) ++sizes[n.zone.empty() ? std::to_string(n.id.value) : n.zone], ++staying;
    std::size_t most = 0, room = 0;
    while (room < std::min<std::size_t>(rf, staying)) {
      ++most, room = 0;
      for (const auto& [zone, size] : sizes) room += std::min(size, most);
    }
    if (zones != 0) CHECK(most_in_zone(all, plan) <= most);
    const auto c = count(all, plan);
    const auto [least, largest] =
        std::ranges::minmax_element(sizes, {}, [](const auto& entry) { return entry.second; });
    if (least->second == largest->second) { // zones ask for nothing that balance would not
      CHECK(spread(c.copies) <= 1);
      CHECK(spread(c.primaries) <= 1);
    }
    CHECK(planned(all, shards, rf, plan) == plan);
  }
}

TEST_CASE("a thousand nodes and 16,384 shards: a loss of a zone moves what it had", "[placement]") {
  auto all = cluster_of(1'000, 5);
  const auto before = planned(all, 16'384, 3);
  check_copies(all, before, 3);
  CHECK(most_in_zone(all, before) == 1);
  CHECK(spread(count(all, before).copies) <= 1);
  CHECK(spread(count(all, before).primaries) <= 1);
  std::size_t lost = 0;
  for (auto& n : all)
    if (n.zone == "zone 0") n.leaves = true, lost += held_by(before, n.id);
  const auto after = planned(all, 16'384, 3, before);
  CHECK(most_in_zone(all, after) == 1);
  CHECK(spread(count(all, after).copies) <= 1);
  CHECK(spread(count(all, after).primaries) <= 1);
  CHECK(change_between(before, after).copies_to_make == lost);
}

TEST_CASE("what was there of unknown nodes, too often or for no shard is not built upon",
          "[placement]") {
  const auto all = cluster_of(3);
  const shard_nodes odd{
      {node_id{9}, node_id{1}}, {node_id{2}, node_id{2}}, {}, {node_id{3}}, {node_id{1}}};
  const auto plan = planned(all, 4, 2, odd);
  REQUIRE(plan.size() == 4);
  check_copies(all, plan, 2);
  CHECK(std::ranges::find(plan[0], node_id{1}) != plan[0].end());
  CHECK(std::ranges::find(plan[1], node_id{2}) != plan[1].end());
  CHECK(std::ranges::find(plan[3], node_id{3}) != plan[3].end());
}

TEST_CASE("a plan is what the key placement/desired can hold", "[placement]") {
  const cluster::etcd::desired_placement desired{.shards = planned(cluster_of(10, 3), 64, 3)};
  const auto read = cluster::etcd::read_desired_placement("placement/desired", to_value(desired));
  REQUIRE(read);
  CHECK(*read == desired);
}

TEST_CASE("a plan that cannot be made is refused with the reason", "[placement]") {
  const auto refused = [](const node_list& nodes, std::uint32_t shards, std::uint32_t rf) {
    const auto plan = plan_placement(nodes, shards, rf, {});
    REQUIRE(plan.code() == op_code::invalid_argument);
    return plan.status().message();
  };
  auto all = cluster_of(2);
  CHECK(refused(all, 0, 3).find("shards") != std::string::npos);
  CHECK(refused(all, 16'385, 3).find("16384") != std::string::npos);
  CHECK(refused(all, 64, 0).find("copies") != std::string::npos);
  CHECK(refused(all, 64, 8).find("copies") != std::string::npos);
  CHECK(refused({}, 64, 3).find("no node") != std::string::npos);
  all[1].weight = 0;
  CHECK(refused(all, 64, 3).find("node 2 has weight 0") != std::string::npos);
  all[1] = all[0];
  CHECK(refused(all, 64, 3).find("node 1 is there twice") != std::string::npos);
  for (auto& n : all = cluster_of(2)) n.leaves = true;
  CHECK(refused(all, 64, 3).find("no node") != std::string::npos);
}
