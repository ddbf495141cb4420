#include "physics/temporal_tiers.hpp"
#include "tests/physics/seeded_random.hpp"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

using namespace warp::physics;
using Catch::Approx;

namespace {

tier_costs some_costs() {
  tier_costs out;
  out[index_of(temporal_tier::memory)] = {.read_us = 0.2, .price_us_per_byte_s = 1e-4};
  out[index_of(temporal_tier::device)] = {.present = false};
  out[index_of(temporal_tier::packed)] = {
      .read_us = 3, .read_us_per_kib = 2, .price_us_per_byte_s = 1e-4, .packs = true};
  out[index_of(temporal_tier::ssd)] = {.read_us = 100, .price_us_per_byte_s = 1e-6};
  out[index_of(temporal_tier::disk)] = {.read_us = 8000, .price_us_per_byte_s = 1e-7};
  return out;
}

} // namespace

TEST_CASE("a cost is reads times their time and bytes times their price", "[physics][tiers]") {
  const tier_cost packed{
      .read_us = 3, .read_us_per_kib = 2, .price_us_per_byte_s = 0.5, .packs = true};
  CHECK(cost_of(packed, {2048, 0.25}, 10, 4) == Approx(10 * (3 + 4) + 0.5 * 512 * 4));
  CHECK(cost_of({.read_us = 3, .price_us_per_byte_s = 0.5}, {2048, 0.25}, 0, 4) ==
        Approx(0.5 * 2048 * 4));
  CHECK(cost_of(packed, {0, 1}, 0, 0) == 0);
}

TEST_CASE("the cheapest tier has the least cost, is there, and never falls as reads grow",
          "[physics][tiers]") {
  seeded_random random;
  const auto costs = some_costs();
  for (int i = 0; i < 2000; ++i) {
    const tiered_value value{random.between(1, 10'000), random.between(0.1, 1)};
    const double seconds = random.between(1, 10'000);
    auto above = temporal_tier::disk;
    for (const double reads : {0.0, 0.01, 1.0, 3.0, 10.0, 100.0, 1e4, 1e6, 1e9}) {
      const auto best = cheapest_tier(costs, value, reads, seconds);
      REQUIRE(costs[index_of(best)].present);
      for (const auto& c : costs)
        if (c.present)
          REQUIRE(cost_of(costs[index_of(best)], value, reads, seconds) <=
                  cost_of(c, value, reads, seconds));
      REQUIRE(best <= above); // the fastest first
      above = best;
    }
  }
  CHECK(cheapest_tier({{{.present = false},
                        {.present = false},
                        {.present = false},
                        {.present = false},
                        {.present = false}}},
                      {1, 1}, 1, 1) == temporal_tier::memory);
}

TEST_CASE("a history knows the mean interval and how much intervals vary", "[physics][tiers]") {
  tier_history even, uneven;
  for (int i = 0; i < 50; ++i) {
    even.read(i * 10);
    uneven.read(i * 10 + (i % 2 ? 6 : 0));
  }
  CHECK(even.interval_s == Approx(10).margin(0.01));
  CHECK(even.spread_s < 0.1);
  CHECK(uneven.interval_s == Approx(10).margin(4));
  CHECK(uneven.spread_s > 3);
  CHECK(even.reads == 50);
  even.turn();
  CHECK(even.reads == 0);
  CHECK(even.last_reads == 50);
  even.turn();
  CHECK(even.last_reads == 0);
  CHECK(even.reads_before == Approx(25));
  for (int i = 0; i < 60; ++i) even.turn();
  CHECK(even.reads_before < 1e-6);
}

TEST_CASE("by age, what is left alone goes down tier by tier and comes back when it is used",
          "[physics][tiers]") {
  const auto costs = some_costs();
  const tiered_value value{1000, 0.5};
  tier_history history;
  CHECK(tier_by_age(costs, value, history, 5) == temporal_tier::ssd);
  for (int i = 0; i < 20; ++i) history.read(i * 0.1);
  CHECK(tier_by_age(costs, value, history, 2) == temporal_tier::memory);
  auto before = temporal_tier::memory;
  for (double now_s = 2; now_s < 1e9; now_s *= 1.5) {
    const auto here = tier_by_age(costs, value, history, now_s);
    CHECK(here >= before);
    before = here;
  }
  CHECK(before == temporal_tier::disk);
  for (int i = 0; i < 50; ++i) history.read(2e9 + i * 200.0);
  CHECK(tier_by_age(costs, value, history, 2e9 + 50 * 200) < temporal_tier::disk);
}
