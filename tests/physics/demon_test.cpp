#include "physics/demon.hpp"
#include "tests/physics/seeded_random.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <map>
#include <vector>

using namespace warp::physics;

namespace {

const std::vector<double> four_places(4, 1);

/// 40 groups of load 1 and 1 kB on four places; `hot` of those on place 0 have load 4.
std::vector<weighed_group> groups_with(std::uint32_t hot) {
  std::vector<weighed_group> groups(40);
  for (std::uint32_t g = 0; g < 40; ++g)
    groups[g] = {g % 4 == 0 && g / 4 < hot ? 4.0 : 1.0, 1e3, g % 4};
  return groups;
}

} // namespace

TEST_CASE("the demon rests while load is even, and acts only after unevenness has lasted",
          "[physics][demon]") {
  demon d{{.patience = 3, .settle_s = 0}};
  CHECK(!d.observe(0, four_places, groups_with(0)));
  CHECK(!d.observe(10, four_places, groups_with(8)));
  CHECK(!d.observe(20, four_places, groups_with(8)));
  CHECK(!d.observe(30, four_places, groups_with(0))); // over again: a moment is no trend
  CHECK(!d.observe(40, four_places, groups_with(8)));
  CHECK(!d.observe(50, four_places, groups_with(8)));
  CHECK(!d.acting());
  const auto plan = d.observe(60, four_places, groups_with(8));
  REQUIRE(plan);
  CHECK(d.acting());
  CHECK(plan->predicted.max_over_mean_after <= 1.1 + 1e-9);
  CHECK(plan->predicted.evenness_after > plan->predicted.evenness_before);
}

TEST_CASE("once acting the demon goes on to its rest level, not just below the alarm",
          "[physics][demon]") {
  demon d{{.patience = 1, .settle_s = 0}};
  auto groups = groups_with(8);
  REQUIRE(d.observe(0, four_places, groups)); // a plan that nobody carries out
  // max/mean 1.15: below the alarm, above rest.
  groups = groups_with(0);
  for (auto& g : groups)
    if (g.place == 0) g.load = 1.2;
  const auto plan = d.observe(7200, four_places, groups);
  CHECK(d.acting());
  CHECK(plan);
  CHECK(!d.observe(7300, four_places, groups_with(0)));
  CHECK(!d.acting());
}

TEST_CASE("a plan whose gain is below its cost is not proposed, but a dry run shows it",
          "[physics][demon]") {
  demon dear{{.patience = 1, .cost_per_byte = 1e9}};
  CHECK(!dear.observe(0, four_places, groups_with(8)));
  CHECK(dear.acting());
  const auto plan = dear.dry_run(0, four_places, groups_with(8));
  CHECK(!plan.moves.empty());
  CHECK(!dear.worth(plan.predicted));
}

TEST_CASE("a dry run changes nothing", "[physics][demon]") {
  demon d{{.patience = 1}};
  const auto shown = d.dry_run(0, four_places, groups_with(8));
  CHECK(!d.acting());
  const auto plan = d.observe(0, four_places, groups_with(8));
  REQUIRE(plan);
  CHECK(plan->moves.size() == shown.moves.size());
}

TEST_CASE("the demon waits between plans for the loads to show the first", "[physics][demon]") {
  demon d{{.patience = 1, .settle_s = 60}};
  REQUIRE(d.observe(0, four_places, groups_with(8)));
  CHECK(!d.observe(59, four_places, groups_with(8)));
  CHECK(d.observe(60, four_places, groups_with(8)));
}

TEST_CASE("no group moves twice within the horizon, whatever the load does", "[physics][demon]") {
  seeded_random random;
  const demon_options options{.patience = 1, .horizon_s = 3600, .settle_s = 0};
  demon d{options};
  auto groups = groups_with(0);
  std::map<std::uint32_t, double> moved_at;
  std::size_t moves = 0;
  for (double now = 0; now < 400 * 3600; now += 300) {
    for (auto& g : groups) g.load = std::exp(random.between(0, 3));
    const auto plan = d.observe(now, four_places, groups);
    if (!plan) continue;
    for (const auto& m : plan->moves) {
      if (moved_at.contains(m.group)) REQUIRE(now - moved_at[m.group] >= 3600);
      moved_at[m.group] = now;
      groups[m.group].place = m.to;
      ++moves;
    }
  }
  CHECK(moves > 100);
}

TEST_CASE("a group whose move was not made may move again", "[physics][demon]") {
  demon d{{.patience = 1, .settle_s = 0}};
  const auto first = d.observe(0, four_places, groups_with(8));
  REQUIRE(first);
  for (const auto& m : first->moves) d.forget(m.group);
  const auto second = d.observe(1, four_places, groups_with(8));
  REQUIRE(second);
  REQUIRE(second->moves.size() == first->moves.size());
  for (std::size_t i = 0; i < first->moves.size(); ++i)
    CHECK(second->moves[i].group == first->moves[i].group);
}
