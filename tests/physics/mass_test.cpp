#include "physics/mass.hpp"
#include "tests/physics/seeded_random.hpp"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <cmath>

using namespace warp::physics;
using Catch::Approx;

TEST_CASE("half is left after a half-life, all when no time has passed", "[physics][mass]") {
  CHECK(decay_factor(300, 300) == Approx(0.5));
  CHECK(decay_factor(900, 300) == Approx(0.125));
  CHECK(decay_factor(0, 300) == 1);
  CHECK(decay_factor(-5, 300) == 1);
}

TEST_CASE("decay over two spans is decay over their sum, and never grows", "[physics][mass]") {
  seeded_random random;
  for (int i = 0; i < 1000; ++i) {
    const double a = random.between(0, 2000), b = random.between(0, 2000);
    const double half_life = random.between(1, 1000);
    CAPTURE(a, b, half_life);
    CHECK(decay_factor(a, half_life) * decay_factor(b, half_life) ==
          Approx(decay_factor(a + b, half_life)));
    CHECK(decay_factor(a + b, half_life) <= decay_factor(a, half_life));
  }
}

TEST_CASE("a decayed count holds what its events are worth now", "[physics][mass]") {
  seeded_random random;
  decayed_count count{120};
  double now = 0, expected = 0;
  for (int i = 0; i < 500; ++i) {
    const double step = random.between(0, 30), amount = random.between(0, 4);
    expected = expected * std::exp2(-step / 120) + amount;
    now += step;
    count.add(now, amount);
    REQUIRE(count.at(now) == Approx(expected));
    REQUIRE(count.at(now + 120) == Approx(expected / 2));
  }
}

TEST_CASE("a constant rate is found again", "[physics][mass]") {
  decayed_count count{60};
  for (int i = 0; i < 60 * 40; ++i) count.add(i * 0.25); // 4 a second for ten half-lives
  CHECK(count.rate(600) == Approx(4).epsilon(0.01));
}

TEST_CASE("a clock that goes back makes no mass", "[physics][mass]") {
  decayed_count count{60};
  count.add(1000, 8);
  count.add(10, 1);
  CHECK(count.at(1000) == Approx(9));
  CHECK(count.at(0) == Approx(9));
}

TEST_CASE("mass is rate times size in KiB times the weight of the priority", "[physics][mass]") {
  CHECK(mass(10, 2048, priority::normal) == Approx(20));
  CHECK(mass(10, 2048, priority::critical) == Approx(100));
  CHECK(mass(10, 2048, priority::high) == Approx(60));
  CHECK(mass(10, 2048, priority::low) == Approx(10));
  CHECK(mass(10, 2048, priority::background) == Approx(2));
  CHECK(mass(0, 2048, priority::critical) == 0);
}

TEST_CASE("mass grows with rate, size and priority, and parts add up", "[physics][mass]") {
  seeded_random random;
  for (int i = 0; i < 1000; ++i) {
    const double rate = random.between(0, 1e6), size = random.between(0, 1e8), more = 1.5;
    CAPTURE(rate, size);
    for (auto p : {priority::background, priority::low, priority::normal, priority::high}) {
      const auto next = static_cast<priority>(static_cast<int>(p) + 1);
      CHECK(mass(rate, size, p) <= mass(rate, size, next));
      CHECK(mass(rate, size, p) <= mass(rate * more, size, p));
      CHECK(mass(rate, size, p) <= mass(rate, size * more, p));
      CHECK(mass(rate, size, p) + mass(rate, size * more, p) ==
            Approx(mass(rate, size * (1 + more), p)));
    }
  }
}
