#include "actors/physics_governor.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace warp;
using warp::actors::physics_governor;

namespace {

constexpr physics_governor::second calm{.samples = 10'000};
constexpr physics_governor::second busy{.samples = 10'000, .cpu_share = 0.02};

/// Seconds until the tier changes, at most `max`.
unsigned until_change(physics_governor& g, const physics_governor::second& s, unsigned max) {
  for (unsigned i = 1; i <= max; ++i)
    if (g.see(s)) return i;
  return 0;
}

} // namespace

TEST_CASE("the tier steps down under each kind of overload and says why", "[actors][physics]") {
  physics_governor g{physics_tier::t3, 0.01};
  CHECK(until_change(g, calm, 1'000) == 0);
  physics_governor::second over = calm;
  const char* why = nullptr;
  SECTION("processor time") {
    over.cpu_share = 0.02;
    why = "2.0 % of the CPUs";
  }
  SECTION("dropped samples") {
    over.dropped = 5'000;
    why = "were dropped";
  }
  SECTION("the log presses") {
    over.log_presses = true;
    why = "the log pressed";
  }
  CHECK(until_change(g, over, 10) == 3);
  CHECK(g.tier() == physics_tier::t2);
  CHECK(g.wanted() == physics_tier::t3);
  CHECK(g.cause().find(why) != std::string::npos);
  CHECK(until_change(g, over, 10) == 3);
  CHECK(until_change(g, over, 10) == 3);
  CHECK(g.tier() == physics_tier::t0);
  CHECK(until_change(g, over, 100) == 0);
  CHECK(g.steps_down() == 3);
}

TEST_CASE("a second or two of overload change nothing", "[actors][physics]") {
  physics_governor g{physics_tier::t2, 0.01};
  for (int i = 0; i < 100; ++i) {
    CHECK_FALSE(g.see(busy));
    CHECK_FALSE(g.see(busy));
    CHECK_FALSE(g.see(calm));
  }
  CHECK(g.cause().empty());
}

TEST_CASE("after a calm minute the tier comes back, after a relapse later", "[actors][physics]") {
  physics_governor g{physics_tier::t2, 0.01};
  REQUIRE(until_change(g, busy, 10) == 3);
  CHECK(until_change(g, calm, 1'000) == 60);
  CHECK(g.tier() == physics_tier::t2);
  CHECK(g.cause().empty());
  unsigned last = 60;
  for (int i = 0; i < 8; ++i) {
    REQUIRE(until_change(g, busy, 10) == 3);
    const auto waited = until_change(g, calm, 10'000);
    CHECK(waited == std::min(2 * last, 3'600u));
    last = waited;
  }
}

TEST_CASE("an order is in force at once", "[actors][physics]") {
  physics_governor g{physics_tier::t2, 0.01};
  REQUIRE(until_change(g, busy, 10) == 3);
  g.order(physics_tier::t3);
  CHECK(g.tier() == physics_tier::t3);
  CHECK(g.cause().empty());
  g.order(physics_tier::t0);
  CHECK(g.tier() == physics_tier::t0);
  CHECK(until_change(g, calm, 1'000) == 0);
}
