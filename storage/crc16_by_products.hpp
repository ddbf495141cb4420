#pragma once

#if defined(__PCLMUL__)

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <tmmintrin.h>
#include <wmmintrin.h>

namespace warp::storage {

/// CRC-16/XMODEM of 8 bytes or more, by multiplication without carries: the bytes are folded to
/// 128 bits that leave the same remainder, and the remainder comes from a quotient. V. Gopal et
/// al., "Fast CRC Computation for Generic Polynomials Using PCLMULQDQ Instruction" (Intel, 2009).
///
/// It lives in vector registers, and so leaves the general ones, of which a processor can have some
/// 200 in flight, to the rest of a lookup: that is what decides how many lookups overlap.
[[nodiscard]] inline std::uint16_t crc16_by_products(const char* bytes, std::size_t size) noexcept {
  constexpr std::uint32_t polynomial = 0x1021; // without its x^16
  constexpr auto power = [](int exponent) {    // of x, modulo the polynomial
    std::uint32_t rest = 1;
    while (exponent-- > 0) rest = (rest << 1 & 0xffff) ^ ((rest & 0x8000) != 0 ? polynomial : 0);
    return static_cast<long long>(rest);
  };
  constexpr auto x64 = power(64), x128 = power(128), x192 = power(192);
  constexpr auto reciprocal = [] { // x^80 divided by the polynomial, without its x^64
    std::uint64_t quotient = 0;
    std::uint32_t rest = polynomial;
    for (int i = 0; i < 64; ++i) {
      const bool out = (rest & 0x8000) != 0;
      quotient = quotient << 1 | static_cast<std::uint64_t>(out);
      rest = (rest << 1 & 0xffff) ^ (out ? polynomial : 0);
    }
    return static_cast<long long>(quotient);
  }();
  // Reverses 16 bytes; read from up to 15 bytes further on, it keeps fewer, and zeros above them.
  alignas(16) static constexpr auto reversal = [] {
    std::array<char, 32> order{};
    for (std::size_t i = 0; i < 32; ++i) order[i] = static_cast<char>(i < 16 ? 15 - i : 0x80);
    return order;
  }();
  const auto reversed = [](const char* at, std::size_t left_out) __attribute__((always_inline)) {
    return _mm_shuffle_epi8(
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(at)),
        _mm_loadu_si128(reinterpret_cast<const __m128i*>(reversal.data() + left_out)));
  };

  // Zeros before the bytes change nothing.
  __m128i sum;
  if (size >= 16) [[likely]] {
    const auto left_out = -size % 16; // of the first 16
    sum = reversed(bytes, left_out);
    for (auto at = 16 - left_out; at != size; at += 16) {
      const auto folds = _mm_set_epi64x(x192, x128);
      sum = _mm_xor_si128(reversed(bytes + at, 0),
                          _mm_xor_si128(_mm_clmulepi64_si128(sum, folds, 0x00),
                                        _mm_clmulepi64_si128(sum, folds, 0x11)));
    }
  } else {
    const auto word_at = [](const char* at) {
      std::uint64_t word;
      std::memcpy(&word, at, sizeof word);
      return __builtin_bswap64(word);
    };
    const auto first = size == 8 ? 0 : word_at(bytes) >> (128 - 8 * size);
    sum = _mm_set_epi64x(static_cast<long long>(first),
                         static_cast<long long>(word_at(bytes + size - 8)));
  }
  const auto last = _mm_set_epi64x(reciprocal, x64);
  const auto folded = _mm_clmulepi64_si128(sum, last, 0x01);     // 80 bits
  const auto carried = _mm_clmulepi64_si128(folded, last, 0x01); // of the upper 16
  const auto word = _mm_xor_si128(sum, _mm_xor_si128(folded, carried));
  const auto product = _mm_clmulepi64_si128(word, last, 0x10);
  const auto quotient = _mm_xor_si128(word, _mm_unpackhi_epi64(product, product));
  const auto rest = _mm_clmulepi64_si128(quotient, _mm_cvtsi32_si128(polynomial), 0x00);
  return static_cast<std::uint16_t>(_mm_cvtsi128_si32(rest));
}

} // namespace warp::storage

#endif
