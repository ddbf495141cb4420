#include "physics/vacuum_stability.hpp"
#include "tests/physics/seeded_random.hpp"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <limits>
#include <vector>

using namespace warp::physics;
using Catch::Approx;

TEST_CASE("stability is one minus the weighted share of violated goals, the worst one named",
          "[physics][vacuum]") {
  const std::vector<service_goal> goals{{"latency", 3, 2, 2},
                                        {"replication lag", 10, 100, 1},
                                        {"memory", 0.95, 0.9, 4},
                                        {"disk", 0.4, 0.9, 1}};
  const auto health = assess(goals);
  CHECK(health.score == Approx(1 - 6.0 / 8));
  CHECK(health.worst == "memory"); // 4 x 0.95 / 0.9 hurts more than 2 x 3 / 2
}

TEST_CASE("a goal that is just met is met, and without goals all is well", "[physics][vacuum]") {
  const std::vector<service_goal> goals{{"memory", 0.9, 0.9, 1}};
  CHECK(assess(goals).score == 1);
  CHECK(assess(goals).worst.empty());
  CHECK(assess({}).score == 1);
}

TEST_CASE("a gauge that is broken counts as violated", "[physics][vacuum]") {
  const std::vector<service_goal> goals{{"latency", 900, 2, 5},
                                        {"disk", std::numeric_limits<double>::quiet_NaN(), 1, 1}};
  CHECK(assess(goals).score == 0);
  CHECK(assess(goals).worst == "disk");
}

TEST_CASE("stability stays in [0, 1] and never rises when a figure gets worse",
          "[physics][vacuum]") {
  seeded_random random;
  for (int i = 0; i < 1000; ++i) {
    std::vector<service_goal> goals(1 + random.below(8));
    for (auto& g : goals)
      g = {"goal", random.between(0, 2), random.between(0, 2), random.between(0, 3)};
    const double before = assess(goals).score;
    REQUIRE(before >= 0);
    REQUIRE(before <= 1);
    goals[random.below(static_cast<std::uint32_t>(goals.size()))].measured *= 3;
    REQUIRE(assess(goals).score <= before);
  }
}
