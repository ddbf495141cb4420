#pragma once

#include "cluster/replication/log_run.hpp"
#include "messages/ids.hpp"
#include "messages/ring.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
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
[[nodiscard]] std::uint64_t hash_on(std::uint64_t before, lsn_t lsn, epoch_t epoch, bool no_op,
                                    std::string_view body);
[[nodiscard]] inline std::uint64_t hash_on(std::uint64_t before, const log_record& record) {
  return hash_on(before, record.lsn, record.epoch, record.no_op, record.body);
}

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
  /// The record at an LSN, kept by the log; absent: none there, or at or below the base.
  [[nodiscard]] std::optional<log_record> find(lsn_t lsn) const;
  /// Whether the log has exactly this record or base.
  [[nodiscard]] bool matches(lsn_t lsn, epoch_t epoch) const;
  /// The last place at or below an LSN; the base for anything below it. What it takes to find the
  /// hash is saved where nobody asks for it: the other one leaves it 0.
  [[nodiscard]] log_position at_or_below(lsn_t lsn) const;
  [[nodiscard]] log_position at_or_below_unhashed(lsn_t lsn) const;
  /// Up to `count_max` records behind an LSN, which is at least the base's, and no more, but for
  /// the first, once their bodies are `bytes_max`.
  [[nodiscard]] log_run behind(lsn_t lsn, std::size_t count_max,
                               std::size_t bytes_max = ~std::size_t{0}) const;
  /// Calls use(records, where they end) with those behind an LSN, up to another one, in order, a
  /// few at a time, until it returns false.
  template <class Use>
  void each_part_behind(lsn_t lsn, lsn_t up_to, Use&& use) const {
    for (auto at = above(lsn); at.run < runs_.size(); ++at.run, at.record = 0) {
      const auto& r = runs_[at.run];
      if (r.first > up_to) return;
      const auto end = r.end.lsn <= up_to ? r.records.size() : above(up_to).record;
      while (at.record < end) {
        const auto to = std::min(end, at.record + part_max - (r.skipped + at.record) % part_max);
        if (!use(r.records.part(at.record, to - at.record), position(at.run, to - 1))) return;
        at.record = to;
      }
    }
  }
  static constexpr std::size_t part_max = 32;
  /// Calls use(LSN of its last record, records, bytes of their bodies) with the runs, in order,
  /// until it returns false.
  template <class Use>
  void each_run(Use&& use) const {
    for (std::size_t i = 0; i < runs_.size(); ++i)
      if (!use(runs_[i].end.lsn, runs_[i].records.size(), runs_[i].bytes)) return;
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
    log_position end;
    lsn_t first = 0;
    std::uint64_t wal_position = 0;
    std::size_t bytes = 0; ///< of the bodies
    bool dense = true;     ///< no number is left out
    /// So many records before these were trimmed.
    std::size_t skipped = 0;
    /// The hash behind each part_max records, trimmed ones included, but the last.
    std::vector<std::uint64_t> hashes;
  };
  struct place {
    std::size_t run, record;
  };
  /// Of the first record above an LSN; {number of runs, 0}: none.
  [[nodiscard]] place above(lsn_t lsn) const;
  /// Of a record.
  [[nodiscard]] log_position position(std::size_t run, std::size_t record) const;
  /// Of the record before a place; the base for the first.
  [[nodiscard]] log_position before(place at) const;
  /// Takes those records, which lie at an end of the run, out of it.
  void shrink(run& from, std::size_t begin, std::size_t count);

  log_position base_, end_;
  std::size_t count_ = 0, body_bytes_ = 0;
  ring<run> runs_;
  /// So many runs at the front were found to be on disk: the next search begins there.
  mutable std::size_t durable_count_ = 0;
};

} // namespace warp::cluster::replication
