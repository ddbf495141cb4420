#pragma once

#include <cstdint>

namespace warp::storage {

/// Whether something logged is on disk by now.
enum class durable_state : std::uint8_t { pending, durable, failed };

} // namespace warp::storage
