#pragma once

#include <cstdint>

namespace warp::testing {

/// Numbers of one seed (splitmix64), the same on every machine and in every standard library. Each
/// part of a simulation has its own, so that leaving one kind of fault out changes no other's luck.
class sim_random {
public:
  explicit sim_random(std::uint64_t seed)
      : state_(seed * 0x9e37'79b9'7f4a'7c15u + 0x1234'5678'9abc'def1u) {}
  sim_random(std::uint64_t seed, std::uint64_t part) : sim_random(seed ^ (part << 48)) { next(); }

  std::uint64_t next() {
    auto z = state_ += 0x9e37'79b9'7f4a'7c15u;
    z = (z ^ (z >> 30)) * 0xbf58'476d'1ce4'e5b9u;
    z = (z ^ (z >> 27)) * 0x94d0'49bb'1331'11ebu;
    return z ^ (z >> 31);
  }
  /// 0 up to n - 1; n > 0.
  std::uint64_t below(std::uint64_t n) { return next() % n; }
  /// Both ends included.
  std::int64_t between(std::int64_t low, std::int64_t high) {
    return low + static_cast<std::int64_t>(below(static_cast<std::uint64_t>(high - low + 1)));
  }
  /// [0, 1)
  double part() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  bool chance(double p) { return part() < p; }

private:
  std::uint64_t state_;
};

} // namespace warp::testing
