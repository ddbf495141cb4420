#pragma once

#include <cstddef>

namespace warp::cluster {

/// Longest message, either way: the largest value and 1 MiB for what is around it. At least 9 MiB,
/// so that the answers to the longest batch, or a scan's bucket of the longest keys, fit whatever
/// the largest value is.
[[nodiscard]] constexpr std::size_t message_bytes_max(std::size_t value_bytes_max) noexcept {
  constexpr std::size_t around = 1u << 20, content_min = 8u << 20;
  return (value_bytes_max > content_min ? value_bytes_max : content_min) + around;
}

/// A batch needs 8 levels: message, call, payload, parameters, list, operation, options, and one to
/// spare. Deeper messages are no messages of ours.
inline constexpr int nesting_max = 32;

} // namespace warp::cluster
