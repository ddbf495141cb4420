#pragma once

#include <bit>
#include <cstring>
#include <type_traits>

namespace warp::storage {

static_assert(std::endian::native == std::endian::little,
              "files are little-endian and are read and written as they stand in memory");

/// Stores an integer at `to`, whatever its alignment, and returns what follows.
template <class Integer>
char* put_le(char* to, Integer value) noexcept {
  static_assert(std::is_integral_v<Integer>);
  std::memcpy(to, &value, sizeof value);
  return to + sizeof value;
}

/// The integer at `from`, whatever its alignment.
template <class Integer>
Integer get_le(const char* from) noexcept {
  static_assert(std::is_integral_v<Integer>);
  Integer value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

} // namespace warp::storage
