#include "physics/assign.hpp"
#include "physics/bisection.hpp"
#include "physics/gravity_wells.hpp"
#include "physics/placement_refinement.hpp"
#include "physics/two_way_cut.hpp"
#include "tests/physics/seeded_random.hpp"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <numeric>
#include <vector>

using namespace warp::physics;
using Catch::Approx;

namespace {

/// Groups in teams of `team` that are used together, and now and then with somebody else's.
struct world {
  std::vector<placed_group> groups;
  std::vector<placement_site> sites;
  std::vector<coaccess_graph::pair> pairs;
  coaccess_graph graph;

  world(seeded_random& random, std::uint32_t count, std::uint32_t places, std::uint32_t team) {
    groups.resize(count);
    for (std::uint32_t g = 0; g < count; ++g) {
      const double load = random.between(0.5, 1.5);
      groups[g] = {g, load, load, random.below(places)};
      const auto first = g / team * team;
      for (int i = 0; i < 3; ++i)
        pairs.push_back({g, std::min(first + random.below(team), count - 1), 1});
      if (random.below(10) == 0) pairs.push_back({g, random.below(count), 0.5});
    }
    sites.resize(places);
    for (std::uint32_t p = 0; p < places; ++p) sites[p].id = p;
    graph = coaccess_graph{count, pairs};
  }
};

double fullest(const std::vector<placed_group>& groups, const std::vector<place_index>& where,
               const std::vector<placement_site>& sites) {
  std::vector<double> load(sites.size(), 0);
  double all = 0, capacity = 0, most = 0;
  for (std::size_t g = 0; g < groups.size(); ++g) {
    load[where[g]] += groups[g].load;
    all += groups[g].load;
  }
  for (const auto& s : sites) capacity += s.capacity;
  for (std::size_t p = 0; p < sites.size(); ++p)
    most = std::max(most, load[p] / sites[p].capacity * capacity / all);
  return most;
}

std::vector<place_index> places_of(const std::vector<placed_group>& groups) {
  std::vector<place_index> out;
  for (const auto& g : groups) out.push_back(g.place);
  return out;
}

} // namespace

TEST_CASE("gravity brings teams together, round by round, within its budget", "[physics][assign]") {
  seeded_random random;
  world w{random, 600, 6, 5};
  double mass = 0;
  for (const auto& g : w.groups) mass += g.mass;
  std::vector<place_index> goal;
  const double scattered = w.graph.cut(places_of(w.groups));
  int rounds = 0;
  for (; rounds < 60; ++rounds) {
    const auto plan = assign(w.graph, w.groups, w.sites, goal, {});
    goal = plan.goal;
    if (plan.moves.empty()) break;
    double moved = 0;
    for (const auto& m : plan.moves) {
      REQUIRE(w.groups[m.group].place == m.from);
      REQUIRE(m.from != m.to);
      w.groups[m.group].place = m.to;
      moved += w.groups[m.group].mass;
    }
    REQUIRE(moved <= 0.05 * mass * (1 + 1e-9));
    REQUIRE(plan.cut_at_goal <= plan.cut_now);
  }
  CHECK(rounds < 60);
  CHECK(fullest(w.groups, places_of(w.groups), w.sites) <= 1.05 + 1e-9);
  CHECK(w.graph.cut(places_of(w.groups)) < scattered / 5);
}

TEST_CASE("no step fills a place above its limit by more than one group", "[physics][assign]") {
  seeded_random random;
  for (int round = 0; round < 10; ++round) {
    world w{random, 300, 4, 6};
    for (auto& s : w.sites) s.capacity = random.between(0.5, 2);
    const assign_options options{.moved_mass_share_max = 0.4};
    const auto plan = assign(w.graph, w.groups, w.sites, {}, options);
    auto where = places_of(w.groups);
    const double before = fullest(w.groups, where, w.sites);
    double all = 0, capacity = 0, least = 2;
    for (const auto& g : w.groups) all += g.load;
    for (const auto& s : w.sites) {
      capacity += s.capacity;
      least = std::min(least, s.capacity);
    }
    const double one_group = 1.5 / (all * least / capacity); // no load is above 1.5
    for (const auto& m : plan.moves) {
      where[m.group] = m.to;
      REQUIRE(fullest(w.groups, where, w.sites) <=
              std::max(before, options.max_over_mean + one_group) + 1e-9);
    }
    REQUIRE(fullest(w.groups, plan.goal, w.sites) <= options.max_over_mean + 0.02);
  }
}

TEST_CASE("at most as many moves as allowed, none when none is", "[physics][assign]") {
  seeded_random random;
  world w{random, 300, 5, 6};
  CHECK(assign(w.graph, w.groups, w.sites, {}, {.moves_max = 7}).moves.size() == 7);
  CHECK(assign(w.graph, w.groups, w.sites, {}, {.moves_max = 0}).moves.empty());
  CHECK(assign(w.graph, w.groups, w.sites, {}, {.moved_mass_share_max = 0}).moves.empty());
}

TEST_CASE("ties stay: groups without history and teams that are whole do not move",
          "[physics][assign]") {
  seeded_random random;
  const std::uint32_t places = 4, team = 5, count = 400;
  std::vector<placed_group> groups(count);
  std::vector<coaccess_graph::pair> pairs;
  std::vector<placement_site> sites(places);
  for (std::uint32_t g = 0; g < count; ++g) {
    groups[g] = {g, 1, 1, g / team % places};
    if (g < count / 2 && g % team > 0) pairs.push_back({g - 1, g, 1});
  }
  const auto plan = assign(coaccess_graph{count, pairs}, groups, sites, {}, {});
  CHECK(plan.moves.empty());
  CHECK(plan.goal == places_of(groups));
}

TEST_CASE("a placement that is at its goal stays there unless one is found that cuts 1 % less",
          "[physics][assign]") {
  seeded_random random;
  world w{random, 500, 5, 5};
  const auto first = assign(w.graph, w.groups, w.sites, {}, {.moved_mass_share_max = 1});
  for (std::size_t g = 0; g < w.groups.size(); ++g) w.groups[g].place = first.goal[g];
  const auto second = assign(w.graph, w.groups, w.sites, first.goal, {.seed = 99});
  CHECK((second.moves.empty() || second.cut_at_goal <= second.cut_now * 0.99));
}

TEST_CASE("the same input and seed give the same assignment", "[physics][assign]") {
  seeded_random random;
  world w{random, 800, 7, 4};
  const auto a = assign(w.graph, w.groups, w.sites, {}, {.seed = 3});
  const auto b = assign(w.graph, w.groups, w.sites, {}, {.seed = 3});
  CHECK(a.goal == b.goal);
  REQUIRE(a.moves.size() == b.moves.size());
  for (std::size_t i = 0; i < a.moves.size(); ++i)
    CHECK((a.moves[i].group == b.moves[i].group && a.moves[i].to == b.moves[i].to));
}

TEST_CASE("a new group joins its partners, or goes where rendezvous hashing says",
          "[physics][assign]") {
  std::vector<placed_group> groups(40);
  for (std::uint32_t g = 0; g < 40; ++g) groups[g] = {g, 1, 1, g % 4};
  groups[38] = {38, 0.1, 0.1, no_place}; // with history
  groups[39] = {1234, 0.1, 0.1, no_place};
  const std::vector<placement_site> sites{{1}, {2}, {3}, {4}};
  const std::vector<coaccess_graph::pair> pairs{{38, 2, 3}, {38, 6, 1}, {38, 7, 1}};
  const auto plan = assign(coaccess_graph{40, pairs}, groups, sites, {}, {.max_over_mean = 1.2});
  REQUIRE(plan.arrivals.size() == 2);
  for (const auto& m : plan.arrivals) {
    CHECK(m.from == no_place);
    const std::vector<std::uint64_t> ids{1, 2, 3, 4};
    const std::vector<double> ones(4, 1);
    CHECK(m.to == (m.group == 38 ? 2 : rendezvous_place(1234, ids, ones)));
  }
}

TEST_CASE("one place, no links and no load are no trouble", "[physics][assign]") {
  std::vector<placed_group> groups(10);
  for (std::uint32_t g = 0; g < 10; ++g) groups[g] = {g, 0, 0, g % 2 ? no_place : 0};
  const std::vector<placement_site> one(1), two(2);
  CHECK(assign(coaccess_graph{10, {}}, groups, one, {}, {}).arrivals.size() == 5);
  CHECK(assign(coaccess_graph{10, {}}, groups, two, {}, {}).moves.empty());
  CHECK(assign(coaccess_graph{}, {}, two, {}, {}).goal.empty());
}

TEST_CASE("wells stay within their load and on their side", "[physics][assign]") {
  seeded_random random;
  for (int round = 0; round < 20; ++round) {
    world w{random, 200, 4, 8};
    std::vector<double> loads;
    for (const auto& g : w.groups) loads.push_back(g.load);
    const auto side = places_of(w.groups);
    const auto wells = find_wells(w.graph, loads, 6, side, 1);
    std::vector<double> load(wells.count, 0);
    std::vector<place_index> side_of(wells.count, no_place);
    for (std::size_t g = 0; g < loads.size(); ++g) {
      const auto well = wells.of[g];
      REQUIRE(well < wells.count);
      load[well] += loads[g];
      if (side_of[well] == no_place) side_of[well] = side[g];
      REQUIRE(side_of[well] == side[g]);
    }
    REQUIRE(*std::ranges::max_element(load) <= 6 + 1e-9);
    REQUIRE(wells.count < loads.size());
  }
}

TEST_CASE("two heavy halves with a thin bridge are cut at the bridge", "[physics][assign]") {
  std::vector<coaccess_graph::pair> pairs;
  for (std::uint32_t g = 0; g < 40; ++g)
    for (std::uint32_t h = 0; h < g; ++h)
      if (g % 2 == h % 2) pairs.push_back({g, h, 1});
  pairs.push_back({0, 1, 0.5f});
  const coaccess_graph graph{40, pairs};
  const std::vector<double> loads(40, 1), capacities{1, 1};
  const auto parts = bisect(graph, loads, capacities, 1);
  CHECK(graph.cut(parts) == Approx(0.5));
}

TEST_CASE("every place gets about its share when the groups are cut among them",
          "[physics][assign]") {
  seeded_random random;
  world w{random, 3000, 7, 4};
  std::vector<double> loads, capacities{1, 1, 2, 0.5, 1, 1.5, 1};
  for (const auto& g : w.groups) loads.push_back(g.load);
  for (std::size_t p = 0; p < 7; ++p) w.sites[p].capacity = capacities[p];
  const auto parts = bisect(w.graph, loads, capacities, 5);
  CHECK(fullest(w.groups, parts, w.sites) <= 1.05);
  CHECK(w.graph.cut(parts) < w.graph.cut(places_of(w.groups)) / 3);
}

TEST_CASE("refinement never cuts more and keeps to the limits", "[physics][assign]") {
  seeded_random random;
  for (int round = 0; round < 20; ++round) {
    world w{random, 300, 5, 5};
    std::vector<double> loads;
    for (const auto& g : w.groups) loads.push_back(g.load);
    std::vector<place_index> where(300);
    for (std::uint32_t g = 0; g < 300; ++g) where[g] = g % 5; // even
    const double all = std::accumulate(loads.begin(), loads.end(), 0.0);
    const std::vector<double> capacities(5, 1), limits(5, all / 5 * 1.2);
    const double before = w.graph.cut(where);
    const refinement_input in{w.graph, loads, capacities, limits};
    refine(in, where, 6, 1);
    const double between = w.graph.cut(where);
    refine_pairs(in, where, 3, 1);
    CHECK(between < before);
    CHECK(w.graph.cut(where) <= between + 1e-6);
    refine(in, where, 1, 1);
    CHECK(fullest(w.groups, where, w.sites) <= 1.2 + 1e-9);
  }
}

TEST_CASE("a cut within a region leaves the others alone and improves step by step",
          "[physics][assign]") {
  seeded_random random;
  world w{random, 200, 2, 10};
  std::vector<double> loads(200, 1);
  two_way_cut cut{w.graph, loads, 1};
  std::vector<std::uint32_t> members;
  for (std::uint32_t g = 0; g < 200; ++g) {
    cut.region(g) = g < 100;
    if (g < 100) members.push_back(g);
  }
  cut.grow(members, 50);
  double before = cut.cut_of(members);
  const two_way_cut::range allowed{45, 55};
  while (cut.improve(members, allowed)) {
    REQUIRE(cut.cut_of(members) < before);
    before = cut.cut_of(members);
  }
  const auto on_0 = std::ranges::count(members, 0, [&](auto g) { return cut.side(g); });
  CHECK(on_0 >= 45);
  CHECK(on_0 <= 55);
  for (std::uint32_t g = 100; g < 200; ++g) CHECK(cut.side(g) == 0);
}
