#pragma once

#include "storage/small_bytes.hpp"

#include <cstddef>
#include <cstring>

namespace warp::storage {

// Reads of memory that another thread may be writing at this moment: what they return counts only
// after write_sequence::unchanged() has said so. Plain reads in the product; in a sanitizer's build
// byte by byte, out of its sight: it would be right that the bytes race, and the address sanitizer
// knows cells that were freed a moment ago as forbidden.
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)

__attribute__((noinline, no_sanitize("thread"), no_sanitize("address"),
               no_sanitize("undefined"))) inline void
racing_copy(void* to, const void* from, std::size_t size) noexcept {
  auto* out = static_cast<volatile char*>(to);
  const auto* in = static_cast<const volatile char*>(from);
  for (std::size_t i = 0; i < size; ++i) out[i] = in[i];
}
__attribute__((noinline, no_sanitize("thread"), no_sanitize("address"),
               no_sanitize("undefined"))) inline bool
racing_equal(const void* a, const void* b, std::size_t size) noexcept {
  const auto* x = static_cast<const volatile char*>(a);
  const auto* y = static_cast<const volatile char*>(b);
  for (std::size_t i = 0; i < size; ++i)
    if (x[i] != y[i]) return false;
  return true;
}

inline void racing_copy_by_steps(void* to, const void* from, std::size_t size) noexcept {
  racing_copy(to, from, size);
}

#else

/// For sizes that have perhaps not arrived from memory yet: no address depends on the size but only
/// which way the branches go, and the processor guesses that. So what follows need not wait for the
/// size to be sure that it reads something else than what is written here.
[[gnu::always_inline]] inline void racing_copy_by_steps(void* to, const void* from,
                                                        std::size_t size) noexcept {
  auto* out = static_cast<char*>(to);
  const auto* in = static_cast<const char*>(from);
  std::size_t at;
  // Or the compiler takes the zero from where it knows one to be, such as the difference of two
  // keys that were just found equal, and all addresses wait for that.
#if defined(__x86_64__)
  asm("xorl %k0, %k0" : "=r"(at) : : "cc");
#else
  asm("" : "=r"(at) : "0"(0));
#endif
  const auto step = [&](std::size_t bytes) __attribute__((always_inline)) {
    std::memcpy(out + at, in + at, bytes);
    at += bytes;
    asm("" : "+r"(at)); // or the compiler would work it out from the size after all
  };
  for (auto left = size; left >= 64; left -= 64) step(64);
  if ((size & 32) != 0) step(32);
  if ((size & 16) != 0) step(16);
  if ((size & 8) != 0) step(8);
  if ((size & 4) != 0) step(4);
  if ((size & 2) != 0) step(2);
  if ((size & 1) != 0) step(1);
}

inline void racing_copy(void* to, const void* from, std::size_t size) noexcept {
  std::memcpy(to, from, size);
}
inline bool racing_equal(const void* a, const void* b, std::size_t size) noexcept {
  return equal_bytes(static_cast<const char*>(a), static_cast<const char*>(b), size);
}

#endif

template <class T>
T racing_load(const void* from) noexcept {
  T value;
  racing_copy(&value, from, sizeof value);
  return value;
}

} // namespace warp::storage
