#pragma once

#include "storage/log_record.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace warp::storage {

class shard_log;

/// What the shards of one transaction share until all its parts are on disk. Made by whoever holds
/// the locks of all the shards, handed to
/// shard_log::begin_part() of each of them before the first of the locks is given back. No durable
/// LSN passes a part before all parts are on disk.
class log_transaction {
public:
  /// At least two parts, each of another shard.
  explicit log_transaction(std::vector<transaction_part> parts)
      : parts_(std::move(parts)), missing_(static_cast<std::uint32_t>(parts_.size())) {
    logs_.reserve(parts_.size());
  }

  [[nodiscard]] const std::vector<transaction_part>& parts() const noexcept { return parts_; }
  [[nodiscard]] bool on_disk() const noexcept {
    return missing_.load(std::memory_order_acquire) == 0;
  }
  /// A part will never get to disk: a stream has failed.
  [[nodiscard]] bool failed() const noexcept {
    return failures_.load(std::memory_order_acquire) != 0;
  }

private:
  friend class shard_log;
  friend class wal_stream;

  const std::vector<transaction_part> parts_;
  std::vector<shard_log*>
      logs_; ///< of the parts; complete before the last shard's lock is given back
  std::atomic<std::uint32_t> missing_;
  std::atomic<std::uint32_t> failures_{0}; ///< parts in failed streams
};

} // namespace warp::storage
