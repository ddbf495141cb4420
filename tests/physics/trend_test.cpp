#include "physics/trend.hpp"
#include "tests/physics/seeded_random.hpp"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <utility>
#include <vector>

using namespace warp::physics;
using Catch::Approx;

TEST_CASE("a trend finds the line that its samples lie on", "[physics][trend]") {
  seeded_random random;
  for (int i = 0; i < 200; ++i) {
    const double slope = random.between(-3, 3), level = random.between(-100, 100);
    const double since = 1.7e9; // seconds of today: large beside the differences
    trend t{32};
    for (int k = 0; k < 40; ++k) t.add(since + k * 22, level + slope * k * 22);
    CAPTURE(slope, level);
    CHECK(t.fit().slope == Approx(slope).margin(1e-6));
    CHECK(t.fit().at(since + 1000) == Approx(level + slope * 1000).margin(1e-3));
  }
}

TEST_CASE("a trend forgets what is older than its window", "[physics][trend]") {
  trend t{8};
  for (int k = 0; k < 50; ++k) t.add(k, -k);
  for (int k = 50; k < 58; ++k) t.add(k, 2 * k);
  CHECK(t.size() == 8);
  CHECK(t.fit().slope == Approx(2));
}

TEST_CASE("no slope without two different times", "[physics][trend]") {
  trend t{4};
  CHECK(t.fit().at(77) == 0);
  t.add(5, 3);
  CHECK(t.fit().slope == 0);
  CHECK(t.fit().at(1000) == 3);
  t.add(5, 4);
  CHECK(t.fit().slope == 0);
  CHECK(t.fit().at(0) == Approx(3.5));
}

TEST_CASE("no line lies closer to the samples than the trend", "[physics][trend]") {
  seeded_random random;
  for (int i = 0; i < 200; ++i) {
    trend t{16};
    std::vector<std::pair<double, double>> samples;
    for (int k = 0; k < 16; ++k) {
      samples.emplace_back(random.between(0, 100), random.between(-5, 5));
      t.add(samples.back().first, samples.back().second);
    }
    const auto error = [&](trend::line l) {
      double sum = 0;
      for (auto [time, value] : samples) sum += (l.at(time) - value) * (l.at(time) - value);
      return sum;
    };
    const auto best = t.fit();
    const trend::line other{best.slope + random.between(-0.1, 0.1),
                            best.level + random.between(-1, 1)};
    REQUIRE(error(best) <= error(other) + 1e-9);
  }
}
