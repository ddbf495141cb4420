#pragma once

#include "messages/ids.hpp"
#include "messages/shared_bytes.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

namespace warp::cluster::replication {

/// What is logged: an after-image that the wiring can apply anywhere, opaque here. The record with
/// which a primary begins its epoch (R8) is a no-op.
struct log_record {
  lsn_t lsn = 0; ///< grows along the log; numbers may be left out
  epoch_t epoch = 0;
  bool no_op = false;
  shared_bytes body;
  friend bool operator==(const log_record&, const log_record&) = default;
};

/// A place in a log and the hash over everything up to it: two logs that agree in lsn and epoch
/// agree in the hash (I6).
struct log_position {
  lsn_t lsn = 0;
  epoch_t epoch = 0;
  std::uint64_t hash = 0;
  friend bool operator==(const log_position&, const log_position&) = default;
};

/// The hash of a log that is one record longer.
[[nodiscard]] std::uint64_t hash_on(std::uint64_t before, const log_record& record);

/// The end of one copy's log, from behind its base (the end of a checkpoint) on; it knows for each
/// record where it went in the write-ahead log, so that a sync of that becomes a durable LSN (R2).
///
/// A value; one thread at a time.
class replica_log {
public:
  replica_log() = default;
  explicit replica_log(log_position base) : base_(base) {}

  [[nodiscard]] log_position base() const { return base_; }
  [[nodiscard]] log_position last() const;
  /// Records that are held in memory.
  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  /// The record at an LSN, or nullptr: none there, or at or below the base.
  [[nodiscard]] const log_record* find(lsn_t lsn) const;
  /// Whether the log has exactly this record or base.
  [[nodiscard]] bool matches(lsn_t lsn, epoch_t epoch) const;
  /// The last place at or below an LSN; the base for anything below it.
  [[nodiscard]] log_position at_or_below(lsn_t lsn) const;
  /// Up to `count_max` records behind an LSN, which is at least the base's.
  [[nodiscard]] std::vector<log_record> behind(lsn_t lsn, std::size_t count_max) const;
  /// Calls use(record, hash of the log up to it) with those behind an LSN, in order, until it
  /// returns false.
  template <class Use>
  void each_behind(lsn_t lsn, Use&& use) const {
    for (auto i = above(lsn); i < entries_.size(); ++i)
      if (!use(entries_[i].record, entries_[i].hash)) return;
  }
  /// The last LSN whose records have all been written at or below a place in the write-ahead log.
  [[nodiscard]] lsn_t durable(std::uint64_t wal_synced) const;

  /// `record.lsn` is above last().lsn.
  void append(log_record record, std::uint64_t wal_position);
  /// Cuts off everything from an LSN on, which is above the base's.
  void truncate_from(lsn_t lsn);
  /// Forgets the records up to an LSN: a checkpoint has them now.
  void trim(lsn_t lsn);

private:
  struct entry {
    log_record record;
    std::uint64_t hash;
    std::uint64_t wal_position;
  };
  /// Index of the first entry above an LSN.
  [[nodiscard]] std::size_t above(lsn_t lsn) const;

  log_position base_;
  std::deque<entry> entries_;
  /// So many at the front were found to be on disk: the next search begins there.
  mutable std::size_t durable_count_ = 0;
};

} // namespace warp::cluster::replication
