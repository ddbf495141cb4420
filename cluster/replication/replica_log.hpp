#pragma once

#include "cluster/replication/log_run.hpp"
#include "messages/ids.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <vector>

namespace warp::cluster::replication {

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

/// The end of one copy's log, from behind its base (the end of a checkpoint) on, in the runs in
/// which it came. It knows for each run where it went in the write-ahead log, so that a sync of
/// that becomes a durable LSN (R2): a run is written as a whole.
///
/// A value; one thread at a time.
class replica_log {
public:
  replica_log() = default;
  explicit replica_log(log_position base) : base_(base), end_(base) {}

  [[nodiscard]] log_position base() const { return base_; }
  [[nodiscard]] const log_position& last() const { return end_; }
  /// Records that are held in memory, and the bytes of their bodies.
  [[nodiscard]] std::size_t size() const { return count_; }
  [[nodiscard]] std::size_t body_bytes() const { return body_bytes_; }
  /// The record at an LSN, or nullptr: none there, or at or below the base.
  [[nodiscard]] const log_record* find(lsn_t lsn) const;
  /// Whether the log has exactly this record or base.
  [[nodiscard]] bool matches(lsn_t lsn, epoch_t epoch) const;
  /// The last place at or below an LSN; the base for anything below it.
  [[nodiscard]] log_position at_or_below(lsn_t lsn) const;
  /// Up to `count_max` records behind an LSN, which is at least the base's, and no more, but for
  /// the first, once their bodies are `bytes_max`.
  [[nodiscard]] log_run behind(lsn_t lsn, std::size_t count_max,
                               std::size_t bytes_max = ~std::size_t{0}) const;
  /// Calls use(record, hash of the log up to it) with those behind an LSN, in order, until it
  /// returns false.
  template <class Use>
  void each_behind(lsn_t lsn, Use&& use) const {
    auto at = above(lsn);
    for (; at.run < runs_.size(); ++at.run, at.record = 0) {
      const auto& r = runs_[at.run];
      for (auto i = at.record; i < r.records.size(); ++i)
        if (!use(r.records[i], r.hashes[r.skipped + i])) return;
    }
  }
  /// Calls use(LSN of its last record, records, bytes of their bodies) with the runs, in order,
  /// until it returns false.
  template <class Use>
  void each_run(Use&& use) const {
    for (const auto& r : runs_)
      if (!use(r.last, r.records.size(), r.bytes)) return;
  }
  /// The last LSN whose records have all been written at or below a place in the write-ahead log.
  [[nodiscard]] lsn_t durable(std::uint64_t wal_synced) const;

  /// The first one's LSN is above last().lsn.
  void append(log_run records, std::uint64_t wal_position);
  /// Cuts off everything from an LSN on, which is above the base's.
  void truncate_from(lsn_t lsn);
  /// Forgets the records up to an LSN: a checkpoint has them now.
  void trim(lsn_t lsn);

private:
  struct run {
    log_run records; ///< at least one
    /// Of the log up to each; those of `skipped` records before them, which are trimmed, too.
    std::vector<std::uint64_t> hashes;
    std::size_t skipped;
    std::uint64_t wal_position;
    // Of the records, to be looked at in their place:
    lsn_t first, last;
    std::size_t bytes; ///< of the bodies
    bool dense;        ///< no number is left out
  };
  struct place {
    std::size_t run, record;
  };
  /// Of the first record above an LSN; {number of runs, 0}: none.
  [[nodiscard]] place above(lsn_t lsn) const;
  /// Of the record before a place; the base for the first.
  [[nodiscard]] log_position before(place at) const;
  /// Takes those records out of the run.
  void shrink(run& from, std::size_t begin, std::size_t count);

  log_position base_, end_;
  std::size_t count_ = 0, body_bytes_ = 0;
  std::deque<run> runs_;
  /// So many runs at the front were found to be on disk: the next search begins there.
  mutable std::size_t durable_count_ = 0;
};

} // namespace warp::cluster::replication
