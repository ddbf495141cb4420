#pragma once

#include <cstdint>

namespace warp::bench {

/// xorshift64*: a nanosecond a number, the same for the same seed.
class fast_random {
public:
  explicit fast_random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  std::uint64_t operator()() noexcept {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return state_ * 0x2545f4914f6cdd1du;
  }
  /// In [0, n), n up to 2^32: a multiplication instead of a division.
  std::uint32_t below(std::uint64_t n) noexcept {
    return static_cast<std::uint32_t>(((*this)() >> 32) * n >> 32);
  }
  /// In [0, 1).
  double unit() noexcept { return static_cast<double>((*this)() >> 11) * 0x1p-53; }

private:
  std::uint64_t state_;
};

} // namespace warp::bench
