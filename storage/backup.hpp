#pragma once

#include <cstdint>
#include <functional>

namespace warp::storage {

/// How far a backup (or a restore) is, in bytes as they were before compression.
struct backup_progress {
  std::uint64_t bytes_done = 0;
  std::uint64_t bytes_total = 0; ///< grows while the source is written to
};

/// How engine::back_up() works.
struct backup_options {
  std::uint64_t rate_bytes = 0;                            ///< read a second at most; 0: no limit
  std::function<void(const backup_progress&)> on_progress; ///< on the calling thread, often
  std::function<bool()> cancelled;                         ///< true: give up soon
  /// The log is copied again whenever this much of checkpoints was copied, so that it is not let
  /// go before its turn comes.
  std::uint64_t log_every_bytes = 64u << 20;
};

} // namespace warp::storage
