#pragma once

#include <cstdint>

namespace warp::storage {

/// Whether something logged is on disk by now. failed: its log stream has failed, so that it never
/// will be.
enum class durable_state : std::uint8_t { pending, durable, failed };

} // namespace warp::storage
