#include "gpu/circuit_breaker.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace warp::gpu;
using state = circuit_breaker::state;

TEST_CASE("a breaker opens at the fifth failure in a row, not at five among successes",
          "[gpu][breaker]") {
  circuit_breaker b;
  for (int round = 0; round < 10; ++round) {
    for (int i = 0; i < 4; ++i) b.failure(1);
    CHECK(b.now() == state::closed);
    b.success();
  }
  for (int i = 0; i < 5; ++i) {
    CHECK(b.allows(2));
    b.failure(2);
  }
  CHECK(b.now() == state::open);
  CHECK(b.openings() == 1);
}

TEST_CASE("an open breaker rests for thirty seconds and then lets one probe through",
          "[gpu][breaker]") {
  circuit_breaker b;
  b.trip(100);
  CHECK_FALSE(b.allows(100));
  CHECK_FALSE(b.allows(129.9));
  CHECK(b.allows(130));
  CHECK(b.now() == state::half_open);
  CHECK_FALSE(b.allows(130));
  CHECK_FALSE(b.allows(1000));
  SECTION("a probe that fails opens it for another thirty") {
    b.failure(131);
    CHECK(b.now() == state::open);
    CHECK_FALSE(b.allows(160.9));
    CHECK(b.allows(161));
    CHECK(b.openings() == 2);
  }
  SECTION("a probe that works closes it, and the count begins anew") {
    b.success();
    CHECK(b.now() == state::closed);
    for (int i = 0; i < 4; ++i) b.failure(140);
    CHECK(b.allows(140));
  }
}

TEST_CASE("what began before a breaker opened does not close it", "[gpu][breaker]") {
  circuit_breaker b;
  b.trip(1);
  b.success();
  CHECK(b.now() == state::open);
  b.failure(20); // nor does it rest longer for it
  CHECK(b.allows(31));
}
