#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace warp::storage {

// memcmp and memchr for keys: most are shorter than what a call to these costs.

/// Are the two equal?
inline bool equal_bytes(const char* a, const char* b, std::size_t size) noexcept {
  if (size < 8 || size > 32) return std::memcmp(a, b, size) == 0;
  const auto word = [](const char* p) {
    std::uint64_t w;
    std::memcpy(&w, p, sizeof w);
    return w;
  };
  auto differ = word(a + size - 8) ^ word(b + size - 8);
  for (std::size_t i = 0; i + 8 < size; i += 8) differ |= word(a + i) ^ word(b + i);
  return differ == 0;
}

inline bool equal_keys(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && equal_bytes(a.data(), b.data(), a.size());
}

/// Does the byte occur?
inline bool contains_byte(const char* bytes, std::size_t size, char wanted) noexcept {
#if defined(__SSE2__)
  if (size >= 16 && size <= 64) {
    const auto pattern = _mm_set1_epi8(wanted);
    const auto in = [&](const char* p) {
      return _mm_cmpeq_epi8(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)), pattern);
    };
    auto found = in(bytes + size - 16);
    for (std::size_t i = 0; i + 16 < size; i += 16) found = _mm_or_si128(found, in(bytes + i));
    return _mm_movemask_epi8(found) != 0;
  }
#endif
  if (size >= 8 && size <= 16) {
    // A byte of x is zero where subtracting 1 borrows into its high bit. Borrows run upwards, so
    // one may be found beside a true one, but not alone.
    constexpr auto ones = ~std::uint64_t{0} / 255;
    const auto with_zero = [&](const char* p) {
      std::uint64_t x;
      std::memcpy(&x, p, sizeof x);
      x ^= ones * static_cast<unsigned char>(wanted);
      return (x - ones) & ~x;
    };
    return ((with_zero(bytes) | with_zero(bytes + size - 8)) & ones << 7) != 0;
  }
  return std::memchr(bytes, wanted, size) != nullptr;
}

} // namespace warp::storage
