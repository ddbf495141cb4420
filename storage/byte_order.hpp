#pragma once

#include <bit>
#include <concepts>
#include <cstring>
#include <type_traits>

namespace warp::storage {

static_assert(std::endian::native == std::endian::little,
              "files are little-endian and written as they stand in memory");

/// Reads a number from any address, aligned or not.
template <class T>
requires std::is_integral_v<T>
[[nodiscard]] inline T load_le(const char* from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

/// Writes a number to any address and returns the address behind it.
template <class T>
requires std::is_integral_v<T>
inline char* store_le(char* to, std::type_identity_t<T> value) noexcept {
  std::memcpy(to, &value, sizeof value);
  return to + sizeof value;
}

} // namespace warp::storage
