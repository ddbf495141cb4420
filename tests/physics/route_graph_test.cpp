#include "physics/route_cache.hpp"
#include "physics/route_graph.hpp"
#include "tests/physics/seeded_random.hpp"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <map>
#include <vector>

using namespace warp::physics;
using Catch::Approx;

namespace {

using edges = std::vector<route_graph::edge>;

edges some_edges(seeded_random& random, std::uint32_t nodes, std::uint32_t count) {
  edges out(count);
  for (auto& e : out) {
    // Few different costs: many ties, and long cheap ways beside short dear ones.
    const link_state link{.rtt_us = random.between(1, 1000),
                          .load = random.between(0, 1.2),
                          .loss = random.below(8) ? 0 : random.between(0, 1),
                          .broken = random.below(10) == 0};
    e = {static_cast<node_index>(random.below(nodes)), static_cast<node_index>(random.below(nodes)),
         random.below(2) ? static_cast<float>(1 + random.below(4)) : edge_cost_us(link)};
  }
  return out;
}

/// Bellman and Ford's layers: the least cost with at most `hops` edges.
std::vector<float> layers(const edges& all, std::uint32_t nodes, node_index from, unsigned hops) {
  std::vector<float> cost(nodes, no_route_cost);
  cost[from] = 0;
  for (unsigned hop = 0; hop < hops; ++hop) {
    auto next = cost;
    for (const auto& e : all) next[e.to] = std::min(next[e.to], cost[e.from] + e.cost_us);
    cost = next;
  }
  return cost;
}

} // namespace

TEST_CASE("a route is never dearer than the best within the hop limit, and made of edges there are",
          "[physics][routes]") {
  seeded_random random;
  route_finder finder;
  for (int round = 0; round < 300; ++round) {
    const std::uint32_t nodes = 2 + random.below(40);
    const auto all = some_edges(random, nodes, random.below(200));
    const route_graph graph{static_cast<std::uint64_t>(round), nodes, all};
    std::map<std::pair<node_index, node_index>, float> cheapest;
    for (const auto& e : all) {
      auto [at, fresh] = cheapest.try_emplace({e.from, e.to}, e.cost_us);
      if (!fresh) at->second = std::min(at->second, e.cost_us);
    }
    for (unsigned limit = 1; limit <= 5; ++limit) {
      const auto from = static_cast<node_index>(random.below(nodes));
      const auto best = layers(all, nodes, from, limit);
      for (node_index to = 0; to < nodes; ++to) {
        const auto r = finder.find(graph, from, to, limit);
        CAPTURE(round, limit, from, to);
        REQUIRE(r.exists() == (best[to] < no_route_cost));
        if (!r.exists()) continue;
        REQUIRE(r.cost_us == Approx(best[to]).epsilon(1e-5));
        REQUIRE(r.relay_count + 1u <= limit);
        float cost = 0;
        auto at = from;
        std::vector<node_index> way(r.between().begin(), r.between().end());
        if (to != from) way.push_back(to);
        for (const auto next : way) {
          REQUIRE(cheapest.contains({at, next}));
          REQUIRE(cheapest[{at, next}] < no_route_cost); // never over a broken link
          cost += cheapest[{at, next}];
          at = next;
        }
        REQUIRE(cost == Approx(r.cost_us).epsilon(1e-5));
      }
    }
  }
}

TEST_CASE("the cost of a link grows with load and loss, and is infinite when it is broken",
          "[physics][routes]") {
  CHECK(edge_cost_us({.rtt_us = 200}) == Approx(200));
  CHECK(edge_cost_us({.rtt_us = 200, .load = 0.5}) == Approx(400));
  CHECK(edge_cost_us({.rtt_us = 200, .loss = 0.2}) == Approx(250));
  CHECK(edge_cost_us({.rtt_us = 200, .load = 5}) == Approx(20'000));
  CHECK(edge_cost_us({.rtt_us = 200, .loss = 0.5}) == no_route_cost);
  CHECK(edge_cost_us({.rtt_us = 200, .broken = true}) == no_route_cost);
  CHECK(edge_cost_us({.rtt_us = 0}) == no_route_cost);
}

TEST_CASE("requests go around a broken link over a third node", "[physics][routes]") {
  const auto broken = edge_cost_us({.rtt_us = 100, .broken = true});
  const edges all{{0, 1, broken}, {0, 2, 100}, {2, 1, 100}, {0, 3, 500}, {3, 1, 10}};
  const route_graph graph{1, 4, all};
  route_finder finder;
  const auto r = finder.find(graph, 0, 1);
  REQUIRE(r.relay_count == 1);
  CHECK(r.relays[0] == 2);
  CHECK(r.cost_us == 200);
  CHECK(!finder.find(graph, 1, 0).exists());
  CHECK(finder.find(graph, 3, 3).cost_us == 0);
}

TEST_CASE("the best relay of a full mesh is the least of all ways of one or two hops",
          "[physics][routes]") {
  seeded_random random;
  for (int round = 0; round < 300; ++round) {
    const std::uint32_t nodes = 2 + random.below(40);
    std::vector<float> away(nodes), back(nodes);
    for (auto* costs : {&away, &back})
      for (auto& c : *costs)
        c = random.below(4) ? static_cast<float>(1 + random.below(50)) : no_route_cost;
    const auto from = static_cast<node_index>(random.below(nodes));
    const auto to = static_cast<node_index>((from + 1 + random.below(nodes - 1)) % nodes);
    away[from] = back[to] = 0;
    float best = away[to];
    for (node_index i = 0; i < nodes; ++i)
      if (i != from && i != to) best = std::min(best, away[i] + back[i]);
    const auto r = best_relay(away, back, from, to);
    REQUIRE(r.cost_us == best);
    if (r.relay_count) {
      REQUIRE(away[r.relays[0]] + back[r.relays[0]] == best);
      REQUIRE(r.relays[0] != from);
      REQUIRE(r.relays[0] != to);
    }
  }
}

TEST_CASE("a cached route is that of its pair and version, or none", "[physics][routes]") {
  seeded_random random;
  route_cache cache{64};
  std::map<std::pair<node_index, node_index>, float> newest;
  for (std::uint64_t version = 0; version < 4; ++version) {
    newest.clear();
    for (int i = 0; i < 2000; ++i) {
      const auto from = static_cast<node_index>(random.below(30));
      const auto to = static_cast<node_index>(random.below(30));
      if (random.below(2)) {
        const auto cost = static_cast<float>(random.below(1000));
        cache.keep(version, from, to, {.cost_us = cost});
        newest[{from, to}] = cost;
        REQUIRE(cache.find(version, from, to)->cost_us == cost);
        REQUIRE(!cache.find(version + 1, from, to));
      } else if (const auto* known = cache.find(version, from, to)) {
        REQUIRE(newest.contains({from, to}));
        REQUIRE(newest[{from, to}] == known->cost_us);
      }
    }
  }
}
