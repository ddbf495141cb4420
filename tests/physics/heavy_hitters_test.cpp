#include "physics/heavy_hitters.hpp"
#include "tests/physics/seeded_random.hpp"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <map>

using namespace warp::physics;
using Catch::Approx;

TEST_CASE("no weight is too low, none too high by more than its error, and no heavy key is missed",
          "[physics][heavy_hitters]") {
  seeded_random random;
  for (int round = 0; round < 30; ++round) {
    const std::size_t capacity = 1 + random.below(40);
    heavy_hitters sketch{capacity};
    std::map<std::uint64_t, double> truth;
    double total = 0;
    for (int i = 0; i < 3000; ++i) {
      const auto key = static_cast<std::uint64_t>(std::exp(random.between(0, 6)));
      const double weight = random.between(0.1, 2);
      truth[key] += weight;
      total += weight;
      sketch.add(key, weight);
      if (i % 700 == 0) {
        sketch.scale(0.5);
        for (auto& [k, w] : truth) w *= 0.5;
        total *= 0.5;
      }
    }
    CHECK(sketch.size() <= capacity);
    CHECK(sketch.total() == Approx(total));
    for (const auto& [key, weight] : truth) {
      const auto slot = sketch.find(key);
      if (!slot) {
        REQUIRE(weight <= total / static_cast<double>(capacity) + 1e-6);
        REQUIRE(weight <= sketch.unknown_max() + 1e-6);
        continue;
      }
      const auto& item = sketch.at(*slot);
      REQUIRE(item.key == key);
      REQUIRE(item.weight >= weight - 1e-6);
      REQUIRE(item.sure() <= weight + 1e-6);
      REQUIRE(item.error <= total / static_cast<double>(capacity) + 1e-6);
    }
  }
}

TEST_CASE("with room for all keys every weight is exact", "[physics][heavy_hitters]") {
  heavy_hitters sketch{8};
  for (int i = 0; i < 100; ++i) sketch.add(static_cast<std::uint64_t>(i % 5), 2);
  for (std::uint64_t key = 0; key < 5; ++key) {
    CHECK(sketch.at(*sketch.find(key)).weight == 40);
    CHECK(sketch.at(*sketch.find(key)).error == 0);
  }
  CHECK(sketch.unknown_max() == 0);
  CHECK(!sketch.find(5));
}
