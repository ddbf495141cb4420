#include "physics/rebalance.hpp"
#include "tests/physics/seeded_random.hpp"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <numeric>
#include <set>
#include <vector>

using namespace warp::physics;
using Catch::Approx;

namespace {

std::vector<weighed_group> some_groups(seeded_random& random, std::uint32_t places,
                                       std::uint32_t count) {
  std::vector<weighed_group> groups(count);
  for (auto& g : groups)
    g = {random.between(0, 10), random.between(1, 1e6), random.below(places), random.below(9) == 0};
  return groups;
}

double fullest(const std::vector<double>& capacities, const std::vector<weighed_group>& groups) {
  std::vector<place_load> places;
  for (const double c : capacities) places.push_back({0, c});
  for (const auto& g : groups) places[g.place].load += g.load;
  return max_over_mean(places);
}

} // namespace

TEST_CASE("a plan does what it predicts, moves each group once and never a fixed one",
          "[physics][rebalance]") {
  seeded_random random;
  for (int round = 0; round < 200; ++round) {
    const std::uint32_t places = 1 + random.below(8);
    std::vector<double> capacities(places);
    for (auto& c : capacities) c = random.between(0.5, 2);
    auto groups = some_groups(random, places, random.below(80));
    const rebalance_limits limits{.aim = 1.1, .search_nodes = 2'000};
    const auto plan = plan_rebalance(capacities, groups, limits);
    const double before = fullest(capacities, groups);
    REQUIRE(plan.predicted.max_over_mean_before == Approx(before));
    std::set<std::uint32_t> moved;
    double bytes = 0;
    for (const auto& m : plan.moves) {
      REQUIRE(moved.insert(m.group).second);
      REQUIRE(!groups[m.group].fixed);
      REQUIRE(groups[m.group].place == m.from);
      REQUIRE(m.to < places);
      groups[m.group].place = m.to;
      bytes += groups[m.group].bytes;
    }
    REQUIRE(bytes == Approx(plan.predicted.bytes));
    REQUIRE(fullest(capacities, groups) == Approx(plan.predicted.max_over_mean_after));
    REQUIRE(fullest(capacities, groups) <= before + 1e-9);
    if (before <= 1.1) REQUIRE(plan.moves.empty());
    REQUIRE(plan.predicted.relief >= -1e-9);
  }
}

TEST_CASE("on small instances no plan is cheaper", "[physics][rebalance]") {
  seeded_random random;
  for (int round = 0; round < 60; ++round) {
    const std::uint32_t places = 2 + random.below(2), count = 4 + random.below(5);
    const std::vector<double> capacities(places, 1);
    auto groups = some_groups(random, places, count);
    const rebalance_limits limits{.aim = 1.15, .move_overhead_bytes = 0};
    // Every placement there is.
    double least = -1;
    auto other = groups;
    for (std::uint32_t code = 0, all = 1; code < all; ++code) {
      all = 1;
      double bytes = 0;
      bool allowed = true;
      for (std::uint32_t g = 0, rest = code; g < count; ++g, all *= places, rest /= places) {
        other[g].place = rest % places;
        if (other[g].place == groups[g].place) continue;
        bytes += groups[g].bytes;
        allowed &= !groups[g].fixed;
      }
      if (allowed && fullest(capacities, other) <= 1.15 && (least < 0 || bytes < least))
        least = bytes;
    }
    const auto plan = plan_rebalance(capacities, groups, limits);
    CAPTURE(places, count);
    if (least >= 0) {
      CHECK(plan.predicted.max_over_mean_after <= 1.15 + 1e-6);
      CHECK(plan.predicted.bytes == Approx(least));
    } else {
      CHECK(plan.predicted.max_over_mean_after > 1.15);
    }
  }
}

TEST_CASE("a plan keeps to its budget of bytes and moves", "[physics][rebalance]") {
  seeded_random random;
  for (int round = 0; round < 100; ++round) {
    const std::vector<double> capacities(6, 1);
    auto groups = some_groups(random, 2, 60); // all in two of six
    const double budget = random.between(0, 2e6);
    const auto plan = plan_rebalance(capacities, groups,
                                     {.bytes_max = budget, .moves_max = 5, .search_nodes = 500});
    CHECK(plan.predicted.bytes <= budget);
    CHECK(plan.moves.size() <= 5);
  }
}

TEST_CASE("a strategy that aims lower gets lower and moves more", "[physics][rebalance]") {
  CHECK(rebalance_aim(rebalance_strategy::minimal, 1.1) == Approx(1.1));
  CHECK(rebalance_aim(rebalance_strategy::moderate, 1.1) == Approx(1.05));
  CHECK(rebalance_aim(rebalance_strategy::aggressive, 1.1) == Approx(1.02));
  seeded_random random;
  const std::vector<double> capacities(8, 1);
  auto groups = some_groups(random, 4, 800);
  double last_bytes = 0;
  for (auto strategy : {rebalance_strategy::minimal, rebalance_strategy::moderate,
                        rebalance_strategy::aggressive}) {
    const double aim = rebalance_aim(strategy, 1.1);
    const auto plan = plan_rebalance(capacities, groups, {.aim = aim, .search_nodes = 2'000});
    CHECK(plan.predicted.max_over_mean_after <= aim + 1e-6);
    CHECK(plan.predicted.bytes > last_bytes);
    last_bytes = plan.predicted.bytes;
  }
}

TEST_CASE("one group that is too heavy for any place is no reason to move others about",
          "[physics][rebalance]") {
  const std::vector<double> capacities(3, 1);
  const std::vector<weighed_group> groups{{100, 10, 0}, {1, 10, 1}, {1, 10, 2}};
  const auto plan = plan_rebalance(capacities, groups, {});
  CHECK(plan.moves.empty());
  CHECK(plan.predicted.max_over_mean_after == plan.predicted.max_over_mean_before);
}
