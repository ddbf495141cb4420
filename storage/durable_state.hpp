#pragma once

#include "messages/ids.hpp"

#include <cstdint>

namespace warp::storage {

/// What an acknowledgement waits for: this shard's log on disk up to there. See engine::durable().
struct durable_target {
  shard_id shard;
  lsn_t lsn = 0;
};

/// Whether something logged is on disk by now. failed: its log stream has failed, so that it never
/// will be.
enum class durable_state : std::uint8_t { pending, durable, failed };

} // namespace warp::storage
