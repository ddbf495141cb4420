#pragma once

#include <cstdint>

namespace warp::bench {

/// A counter that a multiplication to 128 bits mixes (wyrand by Wang Yi): four instructions a
/// number, the same for the same seed.
class fast_random {
public:
  explicit fast_random(std::uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15u + 1) {}
  std::uint64_t operator()() noexcept {
    __extension__ using wide = unsigned __int128;
    state_ += 0xa0761d6478bd642fu;
    const auto product = static_cast<wide>(state_) * (state_ ^ 0xe7037ed1a0b428dbu);
    return static_cast<std::uint64_t>(product >> 64) ^ static_cast<std::uint64_t>(product);
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
