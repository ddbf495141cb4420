#include "physics/relocation.hpp"
#include "tests/physics/seeded_random.hpp"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cmath>

using namespace warp::physics;
using Catch::Approx;

TEST_CASE("strength starts at 1, grows per used period up to 10 and decays per idle one",
          "[physics][relocation]") {
  relocation r{100};
  CHECK(r.strength(100) == 1);
  r.use(101);
  r.use(102); // the same period: counts once
  CHECK(r.strength(121) == 1);
  CHECK(r.strength(122) == Approx(1.1));
  CHECK(r.strength(122 + 22) == Approx(1.1 * 0.95));
  for (int period = 1; period < 100; ++period) r.use(100 + period * 22 + 1);
  CHECK(r.strength(100 + 100 * 22) == 10);
}

TEST_CASE("an entry that nobody uses closes below 0.1, for good", "[physics][relocation]") {
  relocation r{0};
  CHECK(!r.closed(44 * 22));
  CHECK(r.closed(45 * 22));
  r.use(50 * 22);
  CHECK(r.closed(51 * 22));
}

TEST_CASE("looking often or seldom makes no difference to strength", "[physics][relocation]") {
  seeded_random random;
  for (int round = 0; round < 200; ++round) {
    relocation r{0};
    double expected = 1;
    double now = 0;
    bool closed = false;
    for (int period = 0; period < 120 && !closed; ++period) {
      const bool used = random.below(3) == 0;
      if (used) r.use(now + random.between(0, 21.9));
      expected = used ? std::min(expected * 1.1, 10.0) : expected * 0.95;
      now += 22;
      if (random.below(4) == 0) REQUIRE(r.strength(now) == Approx(expected));
      REQUIRE(r.strength(now) <= 10);
      closed = expected < 0.1;
    }
    CHECK(r.strength(now) == Approx(expected));
  }
}
