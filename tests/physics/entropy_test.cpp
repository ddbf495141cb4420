#include "physics/entropy.hpp"
#include "tests/physics/seeded_random.hpp"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

using namespace warp::physics;
using Catch::Approx;

namespace {

std::vector<place_load> some_places(seeded_random& random) {
  std::vector<place_load> places(1 + random.below(40));
  for (auto& p : places)
    p = {random.below(5) ? random.between(0, 1000) : 0, random.between(0.2, 3)};
  return places;
}

} // namespace

TEST_CASE("places that carry their share are even", "[physics][entropy]") {
  const std::vector<place_load> places{{10, 1}, {20, 2}, {5, 0.5}};
  CHECK(entropy_bits(places) == Approx(std::log2(3.0)));
  CHECK(evenness(places) == Approx(1));
  CHECK(divergence_bits(places) == Approx(0).margin(1e-12));
  CHECK(max_over_mean(places) == Approx(1));
}

TEST_CASE("all load in one place of four is no entropy, two bits away from even",
          "[physics][entropy]") {
  const std::vector<place_load> places{{0}, {8}, {0}, {0}};
  CHECK(entropy_bits(places) == Approx(0).margin(1e-12));
  CHECK(evenness(places) == Approx(0).margin(1e-12));
  CHECK(divergence_bits(places) == Approx(2));
  CHECK(max_over_mean(places) == Approx(4));
}

TEST_CASE("evenness is blunt: a place of three with much too much gives 0.98",
          "[physics][entropy]") {
  const std::vector<place_load> places{{1.3}, {0.85}, {0.85}};
  CHECK(evenness(places) == Approx(0.98).margin(0.005));
  CHECK(max_over_mean(places) == Approx(1.3));
}

TEST_CASE("one place, no place and no load are even", "[physics][entropy]") {
  const std::vector<place_load> none, one{{7, 2}}, idle{{0}, {0}, {0}};
  for (const auto& places : {none, one, idle}) {
    CHECK(evenness(places) == 1);
    CHECK(divergence_bits(places) == Approx(0).margin(1e-12));
    CHECK(max_over_mean(places) == Approx(1));
  }
  CHECK(entropy_bits(idle) == Approx(std::log2(3.0)));
}

TEST_CASE("entropy figures stay in their ranges whatever the loads", "[physics][entropy]") {
  seeded_random random;
  for (int i = 0; i < 2000; ++i) {
    const auto places = some_places(random);
    const auto n = static_cast<double>(places.size());
    double capacity = 0, least = 1e9;
    for (const auto& p : places) {
      capacity += p.capacity;
      least = std::min(least, p.capacity);
    }
    REQUIRE(entropy_bits(places) >= 0);
    REQUIRE(entropy_bits(places) <= std::log2(n) + 1e-9);
    REQUIRE(evenness(places) >= 0);
    REQUIRE(evenness(places) <= 1);
    REQUIRE(divergence_bits(places) >= 0);
    REQUIRE(max_over_mean(places) >= 1);
    REQUIRE(max_over_mean(places) <= capacity / least + 1e-9);
  }
}

TEST_CASE("entropy figures know no order and no unit", "[physics][entropy]") {
  seeded_random random;
  for (int i = 0; i < 500; ++i) {
    const auto places = some_places(random);
    auto shuffled = places;
    std::ranges::shuffle(shuffled, random.engine());
    for (auto& p : shuffled) p.load *= 8;
    REQUIRE(entropy_bits(shuffled) == Approx(entropy_bits(places)).margin(1e-9));
    REQUIRE(evenness(shuffled) == Approx(evenness(places)).margin(1e-9));
    REQUIRE(divergence_bits(shuffled) == Approx(divergence_bits(places)).margin(1e-9));
    REQUIRE(max_over_mean(shuffled) == Approx(max_over_mean(places)));
  }
}

TEST_CASE("load that goes from the fullest place to the emptiest makes it more even",
          "[physics][entropy]") {
  seeded_random random;
  for (int i = 0; i < 1000; ++i) {
    auto places = some_places(random);
    if (places.size() < 2) continue;
    for (auto& p : places) p.capacity = 1;
    const auto before = places;
    const auto [low, high] = std::ranges::minmax_element(places, {}, &place_load::load);
    if (high->load - low->load < 1e-6) continue;
    const double amount = random.between(0, (high->load - low->load) / 2);
    high->load -= amount;
    low->load += amount;
    REQUIRE(evenness(places) >= evenness(before) - 1e-9);
    REQUIRE(divergence_bits(places) <= divergence_bits(before) + 1e-9);
    REQUIRE(max_over_mean(places) <= max_over_mean(before) + 1e-9);
  }
}
