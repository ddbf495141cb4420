#pragma once

#include "gpu/cuda/simt.cuh"

namespace warp::gpu {

// Angles of any size, brought to a quarter turn. Usual ones by a subtraction in float64. Those
// beyond a million radians as shares of a turn, in whole numbers: x / 2 pi = m x 2^e x (1 / 2 pi)
// needs only the bits of 1 / 2 pi that are left when whole turns are taken away (Payne and Hanek
// 1983), and shares of a turn add up without an error.

/// 64 zeros, then the bits of 2 / pi.
WARP_CONSTANT std::uint64_t two_over_pi[8] = {
    0,
    0xa2f9836e4e441529,
    0xfc2757d1f534ddc0,
    0xdb6295993c439041,
    0xfe5163abdebbc561,
    0xb7246e3a424dd2e0,
    0x06492eea09d1921c,
    0xfe1deb1cb129a73e,
};

/// What the quick way is good for, in radians.
inline constexpr double quick_angle_max = 1e6;

/// x / 2 pi without its whole turns, times 2^64. |x| < 2^257.
WARP_ON_DEVICE std::uint64_t turns_of(double x) noexcept {
  if (fabs(x) <= quick_angle_max) {
    const double turns = x * 0.15915494309189533577, rest = turns - rint(turns);
    return static_cast<std::uint64_t>(static_cast<std::int64_t>(rest * 0x1p63)) << 1;
  }
  // x = m x 2^e. A quarter turn is 1 after the product with 2 / pi: bits of it that make m x 2^e a
  // multiple of four are left out, and 192 bits after them are more than a float64 can ask for.
  const auto bits = simt::bits_as<std::uint64_t>(x);
  const auto m = (bits & 0xfffffffffffffu) | 0x10000000000000u;
  const int e = static_cast<int>(bits >> 52 & 0x7ff) - 1075;
  const unsigned from = static_cast<unsigned>(e + 62), word = from / 64, by = from % 64;
  std::uint64_t part[3];
  for (unsigned i = 0; i < 3; ++i) {
    const auto high = two_over_pi[word + i], low = two_over_pi[word + i + 1];
    part[i] = by == 0 ? high : high << by | low >> (64 - by);
  }
  const auto middle = simt::high_product(m, part[2]) + m * part[1];
  const std::uint64_t carried = middle < m * part[1];
  const auto turns = simt::high_product(m, part[1]) + m * part[0] + carried;
  return x < 0 ? 0 - turns : turns;
}

/// n quarter turns and a rest r, in [-pi/4, pi/4].
struct quarter_turns {
  float r;
  unsigned n; ///< mod 4
};

WARP_ON_DEVICE quarter_turns quarters_of_turns(std::uint64_t turns) noexcept {
  const auto n = (turns + (std::uint64_t{1} << 61)) >> 62;
  const auto rest = static_cast<std::int64_t>(turns - (n << 62));
  return {static_cast<float>(static_cast<double>(rest) * 3.40612158008655459e-19), // 2 pi / 2^64
          static_cast<unsigned>(n)};
}

/// Of energy x dt + phase, for any of them.
WARP_ON_DEVICE quarter_turns quarters_of(float energy, float dt, float phase) noexcept {
  const double turned = static_cast<double>(energy) * static_cast<double>(dt); // exact
  const double x = turned + static_cast<double>(phase);
  if (!(fabs(x) <= quick_angle_max))
    return quarters_of_turns(turns_of(turned) + turns_of(static_cast<double>(phase)));
  const double n = rint(x * 0.63661977236758134308);
  // pi/2 in parts of 33 bits: their products with n are exact.
  const double r = x - n * 1.57079632673412561417e+00 - n * 6.07710050630396597660e-11;
  return {static_cast<float>(r), static_cast<unsigned>(static_cast<int>(n)) & 3u};
}

/// sin and cos of an angle. (Polynomials of Cephes' sinf and cosf, as in lanes.hpp.)
WARP_ON_DEVICE void sine_cosine(quarter_turns q, float& sine, float& cosine) noexcept {
  const float r = q.r, z = r * r;
  const float s = ((z * -1.9515295891e-4f + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * r + r;
  const float c =
      ((z * 2.443315711809948e-5f - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z * z -
      0.5f * z + 1.f;
  const bool odd = (q.n & 1) != 0;
  sine = odd ? c : s;
  cosine = odd ? s : c;
  if (q.n == 2 || q.n == 3) sine = -sine;
  if (q.n == 1 || q.n == 2) cosine = -cosine;
}

} // namespace warp::gpu
