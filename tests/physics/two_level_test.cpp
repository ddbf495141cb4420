#include "physics/two_level.hpp"
#include "tests/physics/seeded_random.hpp"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cmath>

using namespace warp::physics;
using Catch::Approx;

TEST_CASE("free evolution keeps the norm and both probabilities", "[physics][two_level]") {
  seeded_random random;
  for (int i = 0; i < 10'000; ++i) {
    const auto a = static_cast<float>(random.between(0, 1));
    const auto big = [&] {
      return static_cast<float>(
          std::ldexp(random.between(-1, 1), static_cast<int>(random.below(250)) - 124));
    };
    const auto s = evolved(a, big(), big(), big());
    const double upper = s.upper_re * s.upper_re + s.upper_im * s.upper_im;
    REQUIRE(std::abs(upper + s.lower * s.lower - 1) < 1e-12);
    REQUIRE(std::abs(upper - static_cast<double>(a) * static_cast<double>(a)) < 1e-12);
  }
}

TEST_CASE("evolving twice is evolving for the sum of the times", "[physics][two_level]") {
  const auto once = evolved(0.5f, 0, 3, 0.75f), begun = evolved(0.5f, 0.75f, 3, 0.5f);
  CHECK(once.upper_re == Approx(begun.upper_re));
  CHECK(once.upper_im == Approx(begun.upper_im));
}

TEST_CASE("a small phase is not lost beside a huge one", "[physics][two_level]") {
  // 2^100 radians, and a quarter turn more.
  const auto without = evolved(1, 0, 0x1p60f, 0x1p40f),
             with = evolved(1, 1.57079637f, 0x1p60f, 0x1p40f);
  CHECK(with.upper_re == Approx(without.upper_im).margin(1e-7));
  CHECK(with.upper_im == Approx(-without.upper_re).margin(1e-7));
}
