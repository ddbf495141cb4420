#pragma once

#include "messages/ids.hpp"
#include "messages/limits.hpp"
#include "messages/status.hpp"
#include "storage/file_system.hpp"
#include "storage/log_record.hpp"
#include "storage/segment_info.hpp"
#include "storage/wal_format.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace warp::storage {

// Recovery reads the log in two passes, each parallel over segments:
//
//     paths = list_segments(files, folder)
//     scans = scan_segment(...) of each path                 any number of threads, one call each
//     survey = log_survey::build(scans, shard_count)         orders, checks chains, applies cuts
//     survey.cut_transactions(checkpoint LSN of each shard)
//     check survey.shard(s).gaps against the checkpoint of s: gap.resumes_at <= start LSN of the
//     checkpoint, else data is missing survey.sync_tails(files) before anything that was read is
//     acted on for each segment in order: load_segment(), then replay() on any number of threads,
//     each with its own shards shard_log at {.last = max(chain.end, checkpoint end), .next =
//     max(chain.next, checkpoint reserved + 1), ...}

/// A transaction's part that stands in a segment.
struct found_part {
  shard_id shard;        ///< whose part it is
  std::uint32_t run = 0; ///< index in segment_info::runs
  lsn_t first = 0, last = 0;
  std::uint32_t list_begin = 0, list_end = 0; ///< all parts, in segment_scan::lists
};

/// How a segment ends.
enum class segment_end : std::uint8_t {
  open,   ///< with the last valid frame: live, crashed, or torn
  sealed, ///< the chain goes on in the next segment
  clean,  ///< the process stopped cleanly
};

/// What one segment holds.
struct segment_scan {
  std::shared_ptr<segment_info> info;
  segment_end end = segment_end::open;
  std::uint64_t torn_bytes =
      0; ///< behind the last valid frame, of a round that did not get to disk in full
  std::uint64_t timestamp_us = 0; ///< newest
  std::vector<table_entry> stop;  ///< of the end mark
  std::vector<found_part> parts;
  std::vector<transaction_part> lists;
};

/// Paths of the segments in a folder by start, stream, sequence; empty when the folder is not
/// there. Spares and unfinished files are passed over.
op_result<std::vector<std::string>> list_segments(file_system& files, const std::string& folder);

/// Reads one segment and checks every frame. A tail that is torn is normal; corruption, with path
/// and offset, when a frame is damaged that was on disk before a later one was written, or when the
/// file is not what its name says or belongs to another universe (or generation: 0 accepts any).
op_result<segment_scan> scan_segment(file_system& files, const std::string& path,
                                     const universe_id& universe, std::uint64_t generation = 0);

/// LSNs `after` + 1 .. `resumes_at` of a shard are not in the log: harmless where a checkpoint
/// covers them, else lost.
struct log_gap {
  lsn_t after = 0;
  lsn_t resumes_at = 0; ///< last LSN that is missing
  std::string path;     ///< of the segment that goes on behind the gap
  std::uint64_t offset = 0;
};

/// One shard's log as a whole.
struct shard_chain {
  std::vector<log_gap> gaps;
  lsn_t begin = 0; ///< first record in the log; 0: none
  lsn_t end = 0;   ///< last record that counts
  lsn_t next = 1;  ///< first LSN that was never handed out: exact after a clean stop, else the end
                   ///< of the reservation + 1
  epoch_t epoch = 0;         ///< highest seen
  bool clean = true;         ///< the last writer of this shard stopped cleanly (or there is no log)
  std::uint64_t records = 0; ///< in the log and not void, nearly: a run that was cut counts whole
};

/// What is in a log folder, put together.
class log_survey {
public:
  /// Orders the segments and follows each shard through them. corruption, with path and offset: a
  /// chain is broken in a way no crash leaves behind, or a shard is not below `shard_count`.
  static op_result<log_survey> build(std::vector<segment_scan> scans, std::uint32_t shard_count);

  /// Ends the logs of shards before a transaction's part that lacks another part, in a log or below
  /// a checkpoint (checkpoint_lsn[shard]: end LSN, 0: none). Returns how many parts were cut;
  /// corruption when a checkpoint holds a part that must be cut.
  op_result<std::uint64_t> cut_transactions(std::span<const lsn_t> checkpoint_lsn);

  /// Makes durable what was read from segments that did not end cleanly, so that a later crash
  /// cannot take back what recovery used.
  op_status sync_tails(file_system& files) const;

  [[nodiscard]] const shard_chain& shard(shard_id s) const { return chains_[s.value]; }
  [[nodiscard]] const std::vector<shard_chain>& shards() const noexcept { return chains_; }
  /// In replay order: by start, sequence, stream.
  [[nodiscard]] const std::vector<segment_scan>& segments() const noexcept { return scans_; }
  /// For segment_store::open().
  [[nodiscard]] std::vector<std::shared_ptr<segment_info>> infos() const;

  [[nodiscard]] bool clean() const noexcept;
  [[nodiscard]] std::uint64_t start_max() const noexcept; ///< highest start number seen; 0: no log
  [[nodiscard]] std::uint64_t timestamp_us_max() const noexcept;
  [[nodiscard]] std::uint64_t torn_bytes() const noexcept;
  [[nodiscard]] std::uint64_t bytes() const noexcept; ///< valid, in all segments
  [[nodiscard]] std::uint64_t records() const noexcept;

private:
  std::vector<segment_scan> scans_;
  std::vector<shard_chain> chains_;
};

/// The valid part of a segment in memory.
struct segment_bytes {
  std::shared_ptr<segment_info> info;
  std::unique_ptr<char[]> data;
  std::uint64_t size = 0;
};
op_result<segment_bytes> load_segment(file_system& files, std::shared_ptr<segment_info> info);

/// Which records of a shard replay() hands out: above < lsn <= up_to.
struct replay_range {
  bool wanted = false;
  lsn_t above = 0;
  lsn_t up_to = lsn_max;
};
/// What is known about a record beside itself.
struct replay_context {
  shard_id shard;
  epoch_t epoch = 0;
  std::uint64_t timestamp_us = 0;
};
struct replay_options {
  std::size_t value_bytes_max = value_size_hard_max;
  bool expand_values =
      true; ///< compressed values are handed out as they are in memory, in record.large
};

/// Hands out the records of the shards whose range[shard.value] is wanted, in log order per shard;
/// void ones, parts records and LSNs outside the range are left out. Views point into `segment`.
/// Frames are checked again. Any number of threads may replay one segment. corruption names path
/// and offset. Stops with the status that `consume` returns when that is not ok.
op_status replay(const segment_bytes& segment, std::span<const replay_range> range,
                 const std::function<op_status(const replay_context&, const log_record&)>& consume,
                 replay_options options = {});

} // namespace warp::storage
