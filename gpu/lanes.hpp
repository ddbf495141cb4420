#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>

namespace warp::gpu {

// Numbers side by side, in the compiler's vector types: one source for every width. The sources
// that include this are compiled for different processors, and the linker keeps one copy of an
// inline function that several of them have, made for any of these processors: so everything here
// depends on the width, and of the standard library a span's size and address are all that is used.

/// The registers of a width. (A size that depends on a template parameter is lost on gcc 12.)
template <int W>
struct registers;
template <>
struct registers<4> {
  typedef float real __attribute__((vector_size(16)));
  typedef std::int32_t whole __attribute__((vector_size(16)));
  typedef double wide __attribute__((vector_size(16)));
  typedef float half __attribute__((vector_size(8)));
};
template <>
struct registers<8> {
  typedef float real __attribute__((vector_size(32)));
  typedef std::int32_t whole __attribute__((vector_size(32)));
  typedef double wide __attribute__((vector_size(32)));
  typedef float half __attribute__((vector_size(16)));
};
template <>
struct registers<16> {
  typedef float real __attribute__((vector_size(64)));
  typedef std::int32_t whole __attribute__((vector_size(64)));
  typedef double wide __attribute__((vector_size(64)));
  typedef float half __attribute__((vector_size(32)));
};

/// W floats, W = 4, 8 or 16, one register of the processor that the source is compiled for.
template <int W>
struct lanes {
  static constexpr int count = W;
  using real = typename registers<W>::real;
  using whole = typename registers<W>::whole;
  using wide = typename registers<W>::wide; ///< W / 2 doubles
  using half = typename registers<W>::half; ///< W / 2 floats

  static real all(float x) noexcept { return x - real{}; }
  static whole all(std::int32_t x) noexcept { return x - whole{}; }
  static real load(const float* from) noexcept {
    real v;
    __builtin_memcpy(&v, from, sizeof v);
    return v;
  }
  /// The first n of them, the others `rest`.
  static real load(const float* from, std::size_t n, float rest) noexcept {
    real v = all(rest);
    __builtin_memcpy(&v, from, n * sizeof(float));
    return v;
  }
  static void store(float* to, real v) noexcept { __builtin_memcpy(to, &v, sizeof v); }
  static void store(float* to, real v, std::size_t n) noexcept {
    __builtin_memcpy(to, &v, n * sizeof(float));
  }
  static whole bits(real v) noexcept { return reinterpret_cast<whole>(v); }
  static real from_bits(whole v) noexcept { return reinterpret_cast<real>(v); }
  static real converted(whole v) noexcept { return __builtin_convertvector(v, real); }
  static real root(real v) noexcept {
    real out{};
    for (int i = 0; i < W; ++i) out[i] = __builtin_sqrtf(v[i]);
    return out;
  }
  /// 0, 1, .. W - 1.
  static whole numbers() noexcept {
    whole v;
    for (int i = 0; i < W; ++i) v[i] = i;
    return v;
  }
  static bool any(whole mask) noexcept {
    std::uint64_t words[W / 2], seen = 0;
    __builtin_memcpy(words, &mask, sizeof mask);
    for (const auto w : words) seen |= w;
    return seen != 0;
  }
  static float sum(real v) noexcept {
    return folded<W / 2>(v, [](real a, real b) { return a + b; });
  }
  static float most(real v) noexcept {
    return folded<W / 2>(v, [](real a, real b) { return a > b ? a : b; });
  }
  static std::int32_t least(whole v) noexcept {
    return folded<W / 2>(v, [](whole a, whole b) { return a < b ? a : b; });
  }

  /// What is left of W angles, in float64 (two registers): n = nearest(x / (pi / 2)), r = x - n
  /// pi/2, and the quadrant n mod 4 in -2 .. 2. False: one is too large for that and r holds
  /// anything.
  static bool quarter_turns(const float* energy, double dt, const float* phase, real& r,
                            real& quadrant) noexcept {
    half rest[2], quarter[2];
    bool small = true;
    for (int h = 0; h < 2; ++h) {
      const wide x = widened(energy + h * W / 2) * dt + widened(phase + h * W / 2);
      const auto beyond = (x > 1e6) | (x < -1e6);
      small = small && !any(reinterpret_cast<whole>(beyond));
      const wide n = nearest(x * 0.63661977236758134308);
      // pi/2 in parts of 33 bits: their products with n are exact (n < 2^20).
      const wide left = x - n * 1.57079632673412561417e+00 - n * 6.07710050630396597660e-11 -
                        n * 2.02226624879595063154e-21;
      rest[h] = __builtin_convertvector(left, half);
      quarter[h] = __builtin_convertvector(n - 4 * nearest(n * 0.25), half);
    }
    r = joined(rest[0], rest[1], std::make_integer_sequence<int, W>{});
    quadrant = joined(quarter[0], quarter[1], std::make_integer_sequence<int, W>{});
    return small;
  }

private:
  static wide widened(const float* from) noexcept {
    half v;
    __builtin_memcpy(&v, from, sizeof v);
    return __builtin_convertvector(v, wide);
  }
  static wide nearest(wide x) noexcept { return (x + 0x1.8p52) - 0x1.8p52; }
  template <int... I>
  static real joined(half a, half b, std::integer_sequence<int, I...>) noexcept {
    return __builtin_shufflevector(a, b, I...);
  }
  template <int Distance, class Vector, int... I>
  static Vector swapped(Vector v, std::integer_sequence<int, I...>) noexcept {
    return __builtin_shufflevector(v, v, (I ^ Distance)...);
  }
  template <int Distance, class Vector, class Fold>
  static auto folded(Vector v, Fold fold) noexcept {
    v = fold(v, swapped<Distance>(v, std::make_integer_sequence<int, W>{}));
    if constexpr (Distance > 1)
      return folded<Distance / 2>(v, fold);
    else
      return v[0];
  }
};

/// One float: what the others are measured against.
template <>
struct lanes<1> {
  static constexpr int count = 1;
  using real = float;
  using whole = std::int32_t;

  static real all(float x) noexcept { return x; }
  static whole all(std::int32_t x) noexcept { return x; }
  static real load(const float* from) noexcept { return *from; }
  static real load(const float* from, std::size_t n, float rest) noexcept {
    return n ? *from : rest;
  }
  static void store(float* to, real v) noexcept { *to = v; }
  static void store(float* to, real v, std::size_t n) noexcept {
    if (n) *to = v;
  }
  static whole bits(real v) noexcept {
    whole out;
    __builtin_memcpy(&out, &v, sizeof out);
    return out;
  }
  static real from_bits(whole v) noexcept {
    real out;
    __builtin_memcpy(&out, &v, sizeof out);
    return out;
  }
  static real converted(whole v) noexcept { return static_cast<float>(v); }
  static real root(real v) noexcept { return __builtin_sqrtf(v); }
  static whole numbers() noexcept { return 0; }
  static bool any(bool mask) noexcept { return mask; }
  static float sum(real v) noexcept { return v; }
  static float most(real v) noexcept { return v; }
  static std::int32_t least(whole v) noexcept { return v; }
  static bool quarter_turns(const float* energy, double dt, const float* phase, real& r,
                            real& quadrant) noexcept {
    const double x = static_cast<double>(*energy) * dt + static_cast<double>(*phase);
    const double n = (x * 0.63661977236758134308 + 0x1.8p52) - 0x1.8p52;
    const double quarter = (n * 0.25 + 0x1.8p52) - 0x1.8p52;
    r = static_cast<float>(x - n * 1.57079632673412561417e+00 - n * 6.07710050630396597660e-11 -
                           n * 2.02226624879595063154e-21);
    quadrant = static_cast<float>(n - 4 * quarter);
    return x <= 1e6 && x >= -1e6;
  }
};

/// log2 of numbers > 0, denormals included, right to 2 units in the last place of the larger of it
/// and 1. 0 for 0, so that 0 x log2(0) is 0. (Polynomial of Cephes' logf, Moshier 1992.)
template <class L>
[[gnu::always_inline]] inline typename L::real log2_or_0(typename L::real x) noexcept {
  using real = typename L::real;
  const auto tiny = x < L::all(1.17549435e-38f);
  const real scaled = tiny ? x * 33554432.f : x;
  const auto bits = L::bits(scaled);
  real exponent = L::converted((bits >> 23) - 127);
  real m = L::from_bits((bits & 0x7fffff) | 0x3f800000);
  const auto upper = m > L::all(1.41421356f);
  m = upper ? m * 0.5f : m;
  exponent = upper ? exponent + 1.f : exponent;
  exponent = tiny ? exponent - 25.f : exponent;
  const real f = m - 1.f, z = f * f;
  real p = f * 7.0376836292e-2f - 1.1514610310e-1f;
  p = p * f + 1.1676998740e-1f;
  p = p * f - 1.2420140846e-1f;
  p = p * f + 1.4249322787e-1f;
  p = p * f - 1.6668057665e-1f;
  p = p * f + 2.0000714765e-1f;
  p = p * f - 2.4999993993e-1f;
  p = p * f + 3.3333331174e-1f;
  const real ln = f + (p * f * z - 0.5f * z);
  const real out = exponent + ln * 1.44269504f;
  return x > L::all(0.f) ? out : L::all(0.f);
}

/// sin and cos of r in [-pi/4, pi/4]. (Polynomials of Cephes' sinf and cosf.)
template <class L>
[[gnu::always_inline]] inline void small_sine_cosine(typename L::real r, typename L::real& sine,
                                                     typename L::real& cosine) noexcept {
  const auto z = r * r;
  sine = ((z * -1.9515295891e-4f + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * r + r;
  cosine =
      ((z * 2.443315711809948e-5f - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z * z -
      0.5f * z + 1.f;
}

/// A sum of many numbers, in float for 16 terms a lane and in float64 beyond: its error does not
/// grow with their count.
template <class L>
class long_sum {
public:
  void add(typename L::real v) noexcept { lately_ = lately_ + v; }
  void flush() noexcept {
    total_ += static_cast<double>(L::sum(lately_));
    lately_ = L::all(0.f);
  }
  [[nodiscard]] double total() noexcept {
    flush();
    return total_;
  }

private:
  typename L::real lately_ = L::all(0.f);
  double total_ = 0;
};

} // namespace warp::gpu
