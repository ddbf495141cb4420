#pragma once

#include <cstddef>

namespace warp::cluster {

/// Longest message, either way: the largest value and 1 MiB for what is around it. At least 2 MiB,
/// so that a page of a scan holds a bucket of the longest keys.
[[nodiscard]] constexpr std::size_t message_bytes_max(std::size_t value_bytes_max) noexcept {
  constexpr std::size_t around = 1u << 20;
  return (value_bytes_max > around ? value_bytes_max : around) + around;
}

/// A batch needs 8 levels: message, call, payload, parameters, list, operation, options, and one to
/// spare. Deeper messages are no messages of ours.
inline constexpr int nesting_max = 32;

} // namespace warp::cluster
