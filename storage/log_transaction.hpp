#pragma once

#include "storage/log_record.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace warp::storage {

class shard_log;

/// What the shards of one transaction share until it is settled: all its parts are on disk, and in
/// each of its shards all transactions before it are settled (else a recovery would cut one of the
/// parts, and so all of them). No durable LSN passes a part before that. Made by whoever holds the
/// locks of all the shards, handed to shard_log::begin_part() of each of them before the first of
/// the locks is given back; that makes the order of transactions the same in all shards, so none
/// waits in a circle.
class log_transaction {
public:
  /// At least two parts, each of another shard.
  explicit log_transaction(std::vector<transaction_part> parts)
      : parts_(std::move(parts)), missing_(static_cast<std::uint32_t>(parts_.size())) {
    logs_.reserve(parts_.size());
  }

  [[nodiscard]] const std::vector<transaction_part>& parts() const noexcept { return parts_; }
  [[nodiscard]] bool settled() const noexcept {
    return missing_.load(std::memory_order_acquire) == 0;
  }
  /// A part will never get to disk: a stream has failed.
  [[nodiscard]] bool failed() const noexcept {
    return failures_.load(std::memory_order_acquire) != 0;
  }

private:
  friend class shard_log;
  friend class wal_stream;

  /// One part more is on disk with nothing unsettled before it; true: that was the last one.
  [[nodiscard]] bool count_part() noexcept {
    return missing_.fetch_sub(1, std::memory_order_acq_rel) == 1;
  }

  const std::vector<transaction_part> parts_;
  std::vector<shard_log*>
      logs_; ///< of the parts; complete before the first shard's lock is given back
  std::atomic<std::uint32_t> missing_;
  std::atomic<std::uint32_t> failures_{0}; ///< parts in failed streams
  std::atomic<bool> pressed_{false};       ///< somebody waits for it: its streams were asked
};

} // namespace warp::storage
