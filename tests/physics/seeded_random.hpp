#pragma once

#include <catch2/catch_get_random_seed.hpp>

#include <cstdint>
#include <random>

namespace warp::physics {

/// Random numbers of a property test, from Catch2's seed, which a run prints and --rng-seed N
/// repeats.
class seeded_random {
public:
  seeded_random() : engine_(Catch::getSeed()) {}

  /// In [0, n), n > 0.
  std::uint32_t below(std::uint32_t n) {
    return std::uniform_int_distribution<std::uint32_t>{0, n - 1}(engine_);
  }
  /// In [low, high).
  double between(double low, double high) {
    return std::uniform_real_distribution<double>{low, high}(engine_);
  }
  std::mt19937_64& engine() noexcept { return engine_; }

private:
  std::mt19937_64 engine_;
};

} // namespace warp::physics
