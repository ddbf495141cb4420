#include "physics/gravity.hpp"
#include "tests/physics/seeded_random.hpp"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <vector>

using namespace warp::physics;
using Catch::Approx;

TEST_CASE("attraction is mass times free capacity over softened distance squared",
          "[physics][gravity]") {
  CHECK(attraction(3, 2, 0.5, 0.6, 0.1) == Approx(3 * (2 / 1.5) / (0.36 + 0.01)));
  CHECK(attraction(0, 1, 0, 0) == 0);
}

TEST_CASE("attraction grows with mass and capacity, falls with load and distance",
          "[physics][gravity]") {
  seeded_random random;
  for (int i = 0; i < 2000; ++i) {
    const double m = random.between(0.1, 100), c = random.between(0.1, 10);
    const double l = random.between(0, 2), d = random.between(0, 0.9);
    CAPTURE(m, c, l, d);
    const double a = attraction(m, c, l, d);
    REQUIRE(a > 0);
    REQUIRE(attraction(m * 1.1, c, l, d) > a);
    REQUIRE(attraction(m, c * 1.1, l, d) > a);
    REQUIRE(attraction(m, c, l + 0.1, d) < a);
    REQUIRE(attraction(m, c, l, d + 0.1) < a);
  }
}

TEST_CASE("which place pulls hardest does not depend on the mass", "[physics][gravity]") {
  seeded_random random;
  for (int i = 0; i < 1000; ++i) {
    const double d[2] = {random.between(0, 1), random.between(0, 1)};
    const double l[2] = {random.between(0, 1), random.between(0, 1)};
    const auto first_wins = [&](double m) {
      return attraction(m, 1, l[0], d[0]) > attraction(m, 1, l[1], d[1]);
    };
    REQUIRE(first_wins(0.01) == first_wins(1000));
  }
}

TEST_CASE("distance is 0 where all partners are and 1 without history", "[physics][gravity]") {
  CHECK(coaccess_distance(7, 7) == 0);
  CHECK(coaccess_distance(0, 7) == 1);
  CHECK(coaccess_distance(0, 0) == 1);
  CHECK(coaccess_distance(1, 4) == 0.75);
}

TEST_CASE("rendezvous gives every place its share of the capacity", "[physics][gravity]") {
  const std::vector<std::uint64_t> ids{11, 12, 13, 14};
  const std::vector<double> capacities{1, 1, 2, 4};
  std::vector<double> count(4, 0);
  for (std::uint64_t g = 0; g < 80'000; ++g) count[rendezvous_place(g, ids, capacities)] += 1;
  for (std::size_t p = 0; p < 4; ++p)
    CHECK(count[p] / 80'000 == Approx(capacities[p] / 8).margin(0.01));
  CHECK(rendezvous_place(1, {}, {}) == no_place);
}

TEST_CASE("a place that leaves moves only the groups it had", "[physics][gravity]") {
  const std::vector<std::uint64_t> ids{5, 6, 7, 8, 9}, fewer{5, 6, 8, 9};
  const std::vector<double> ones(5, 1);
  for (std::uint64_t g = 0; g < 10'000; ++g) {
    const auto before = ids[rendezvous_place(g, ids, ones)];
    const auto after = fewer[rendezvous_place(g, fewer, std::span{ones}.first(4))];
    if (before != 7) REQUIRE(after == before);
  }
}
