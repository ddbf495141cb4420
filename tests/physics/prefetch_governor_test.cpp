#include "physics/prefetch_governor.hpp"
#include "tests/physics/seeded_random.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace warp::physics;

TEST_CASE("grades fall with strength, and every strength has one", "[physics][prefetch]") {
  CHECK(prefetch_governor::of(1) == 0);
  CHECK(prefetch_governor::of(0.5) == 2);
  CHECK(prefetch_governor::of(1e-9) == prefetch_governor::grades - 1);
  auto last = prefetch_governor::of(1);
  for (double s = 1; s > 0; s -= 0.001) {
    const auto g = prefetch_governor::of(s);
    REQUIRE(g < prefetch_governor::grades);
    REQUIRE(g >= last);
    last = g;
  }
}

TEST_CASE("a grade that wastes too much is stopped but for a few trials, one that does not goes on",
          "[physics][prefetch]") {
  seeded_random random;
  prefetch_governor governor{0.3, 64};
  int good = 0, bad = 0;
  for (int i = 0; i < 10'000; ++i) {
    if (governor.allows(1)) {
      ++good;
      governor.outcome(1, random.below(10) > 0); // a tenth is wasted
    }
    if (governor.allows(5)) {
      ++bad;
      governor.outcome(5, random.below(10) == 0); // nine tenths are
    }
  }
  CHECK(good > 9'900);
  CHECK(bad < 500);
  CHECK(bad > 50);
  CHECK(governor.waste(1) < 0.2);
  CHECK(governor.waste(5) > 0.6);
}

TEST_CASE("grades that are stopped and take turns are each tried again", "[physics][prefetch]") {
  prefetch_governor governor{0.3, 64};
  for (const prefetch_governor::grade g : {1, 5})
    for (int i = 0; i < 100; ++i) governor.outcome(g, false);
  int first = 0, second = 0;
  for (int i = 0; i < 6'400; ++i) {
    first += governor.allows(1);
    second += governor.allows(5);
  }
  CHECK(first == 100);
  CHECK(second == 100);
}

TEST_CASE("a grade that has become better is found out", "[physics][prefetch]") {
  prefetch_governor governor;
  for (int i = 0; i < 2'000; ++i)
    if (governor.allows(3)) governor.outcome(3, false);
  int allowed = 0;
  for (int i = 0; i < 100'000; ++i)
    if (governor.allows(3)) {
      ++allowed;
      governor.outcome(3, true);
    }
  CHECK(allowed > 50'000);
}
