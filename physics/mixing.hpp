#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>

namespace warp::physics {

/// A bijection that spreads neighbouring numbers over all 64 bits (the finaliser of SplitMix64,
/// Steele, Lea and Flood 2014).
[[nodiscard]] constexpr std::uint64_t mix(std::uint64_t x) noexcept {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
  x = (x ^ x >> 27) * 0x94d049bb133111ebu;
  return x ^ x >> 31;
}

/// Random numbers from a seed, the same for the same seed on every machine.
class mixed_sequence {
public:
  explicit constexpr mixed_sequence(std::uint64_t seed) noexcept : state_(mix(seed)) {}

  constexpr std::uint64_t operator()() noexcept { return mix(state_++); }
  /// In [0, n), n in [1, 2^32].
  constexpr std::uint32_t below(std::uint64_t n) noexcept {
    return static_cast<std::uint32_t>(((*this)() >> 32) * n >> 32);
  }
  /// In [0, 1).
  constexpr double unit() noexcept { return static_cast<double>((*this)() >> 11) * 0x1p-53; }

private:
  std::uint64_t state_;
};

/// Puts the values into an order drawn from the sequence (Fisher and Yates).
template <class T>
void shuffle(std::span<T> values, mixed_sequence& random) noexcept {
  for (std::size_t i = values.size(); i > 1; --i) std::swap(values[i - 1], values[random.below(i)]);
}

} // namespace warp::physics
