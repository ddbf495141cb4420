#pragma once

#include <cstdint>

namespace warp::storage {

/// When memory is asked for in huge pages (2 MiB).
enum class huge_pages : std::uint8_t {
  automatic, ///< once there is enough of it that half a page more does not count
  always,
  never,
};

} // namespace warp::storage
