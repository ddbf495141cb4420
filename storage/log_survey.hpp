#pragma once

#include "messages/ids.hpp"
#include "messages/status.hpp"
#include "storage/file_system.hpp"
#include "storage/segment_scan.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace warp::storage {

/// Records `after` + 1 .. `resumes_at` of a shard are not in the log: harmless where a checkpoint
/// covers them, else lost.
struct log_gap {
  lsn_t after = 0;
  lsn_t resumes_at = 0; ///< last LSN that is missing
  std::string path;     ///< of the segment that goes on behind the gap
  std::uint64_t offset = 0;
  std::string path_before; ///< of the segment that ends before it; empty: none
  std::uint64_t end_before = 0;
};

/// One shard's log as a whole.
struct shard_chain {
  std::vector<log_gap> gaps;
  lsn_t begin = 0; ///< first record in the log; 0: none
  lsn_t end =
      0; ///< last record that counts, whether it is still in the log or not; 0: never written
  lsn_t next = 1;    ///< first LSN that was never handed out: exact after a clean stop, else behind
                     ///< the reservation
  epoch_t epoch = 0; ///< highest seen
  lsn_t commit = 0;  ///< of a replicated shard: known to be committed; 0: nothing was said
  bool seen = false; ///< some segment names the shard
  std::string path;  ///< of the last segment that names it
  std::uint64_t start = 0;   ///< number of the newest process start whose segments name it
  bool clean = true;         ///< its last writer stopped cleanly (or there is none)
  std::uint64_t records = 0; ///< in the log; a run that was cut counts whole
};

/// What is in a log folder, put together.
class log_survey {
public:
  /// Orders the segments and follows each shard through them. corruption, with path and offset: a
  /// chain is broken in a way no crash leaves behind, or a shard is not below `shard_count`.
  /// `salvage`: for what salvage_segment() brought; where a chain is broken is then seen from its
  /// gaps alone, and nothing is an error.
  static op_result<log_survey> build(std::vector<segment_scan> scans, std::uint32_t shard_count,
                                     bool salvage = false);

  /// Ends a shard's log at `last`, where it goes beyond: the records above are void. For a restore
  /// to a point in time; before cut_transactions().
  void end_at(shard_id shard, lsn_t last);

  /// Ends the logs of shards before a transaction's part that lacks another part, in a log or below
  /// a checkpoint (checkpoint_lsn[shard]: end LSN of the checkpoint that will be loaded; 0: none).
  /// Returns how many parts were cut.
  std::uint64_t cut_transactions(std::span<const lsn_t> checkpoint_lsn);

  /// After cut_transactions(): does a transaction of which a part is void stand in a checkpoint of
  /// another shard all the same? Then the log was ended too early for these checkpoints.
  [[nodiscard]] bool cuts_into(std::span<const lsn_t> checkpoint_lsn) const;

  /// Makes durable what was read, so that a later crash cannot take back what recovery has used:
  /// writes the last round of each chain once more as it is, and syncs it. (A sync alone is not
  /// enough: after one that failed the system may hold bytes which are not on disk, and think they
  /// are.)
  op_status sync_tails(file_system& files) const;

  [[nodiscard]] const shard_chain& shard(shard_id s) const { return chains_[s.value]; }
  /// In replay order: by start, sequence, stream.
  [[nodiscard]] const std::vector<segment_scan>& segments() const noexcept { return scans_; }
  /// For segment_store::open().
  [[nodiscard]] std::vector<std::shared_ptr<segment_info>> infos() const;

  /// Path of a segment of the newest start that was sealed although its successor is not there; a
  /// successor is there before the seal is. Empty: none.
  [[nodiscard]] std::string without_successor() const;
  [[nodiscard]] bool clean() const noexcept; ///< every shard's last writer stopped cleanly
  [[nodiscard]] std::uint64_t start_max() const noexcept; ///< highest start number seen; 0: no log
  [[nodiscard]] std::uint64_t timestamp_us_max() const noexcept;
  [[nodiscard]] std::uint64_t torn_bytes() const noexcept;
  [[nodiscard]] std::uint64_t bytes() const noexcept;   ///< valid, in all segments
  [[nodiscard]] std::uint64_t records() const noexcept; ///< in all segments, void ones included

private:
  using run_place = std::pair<std::uint32_t, std::uint32_t>; ///< segment, run

  op_status follow(std::uint32_t segment, std::uint32_t run);
  void cut(std::uint32_t shard, lsn_t last);
  [[nodiscard]] shard_run& run_at(run_place place) {
    return scans_[place.first].info->runs[place.second];
  }
  [[nodiscard]] const shard_run& run_at(run_place place) const {
    return scans_[place.first].info->runs[place.second];
  }
  void summarize();

  bool salvage_ = false;
  std::vector<segment_scan> scans_;
  std::vector<shard_chain> chains_;
  std::vector<std::vector<run_place>> runs_; ///< by shard, in log order
};

} // namespace warp::storage
