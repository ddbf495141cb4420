#pragma once

#include "storage/log_record.hpp"

#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <utility>
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
      : parts_(std::move(parts)), record_(parts_record_bytes(parts_.size()), '\0'),
        missing_(static_cast<std::uint32_t>(parts_.size())) {
    encode_parts(parts_, record_.data());
    logs_.reserve(parts_.size());
  }

  /// The log record that names the parts.
  [[nodiscard]] const std::string& record() const noexcept { return record_; }
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
  friend class settled_transactions;

  /// One part more is on disk with nothing unsettled before it; true: that was the last one.
  [[nodiscard]] bool count_part() noexcept {
    return missing_.fetch_sub(1, std::memory_order_acq_rel) == 1;
  }

  const std::vector<transaction_part> parts_;
  std::string record_;
  std::vector<shard_log*>
      logs_; ///< of the parts; complete before the first shard's lock is given back
  std::atomic<std::uint32_t> missing_;
  std::atomic<std::uint32_t> failures_{0}; ///< parts in failed streams
  std::atomic<bool> pressed_{false};       ///< somebody waits for it: its streams were asked
  std::shared_ptr<log_transaction> next_;  ///< in the list of settled ones that it is in
};

/// Transactions that were just settled, each of them once, by whoever counted its last part. Takes
/// no memory.
class settled_transactions {
public:
  void push(std::shared_ptr<log_transaction> t) noexcept;
  /// Null: none is left.
  [[nodiscard]] std::shared_ptr<log_transaction> pop() noexcept;

private:
  std::shared_ptr<log_transaction> first_;
};

/// A part of a transaction that is appended to a shard's log, and not settled.
struct held_part {
  std::shared_ptr<log_transaction> transaction;
  lsn_t first = 0;
  bool counted = false; ///< it has come to the front, and its transaction knows
  bool pressed = false; ///< somebody waits for what is behind it
};
using held_parts = std::list<held_part>; ///< moves from hand to hand without taking memory

inline void settled_transactions::push(std::shared_ptr<log_transaction> t) noexcept {
  t->next_ = std::move(first_);
  first_ = std::move(t);
}

inline std::shared_ptr<log_transaction> settled_transactions::pop() noexcept {
  auto t = std::move(first_);
  if (t) first_ = std::move(t->next_);
  return t;
}

} // namespace warp::storage
