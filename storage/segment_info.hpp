#pragma once

#include "messages/ids.hpp"
#include "storage/wal_format.hpp"

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

namespace warp::storage {

/// A stretch of one shard's frames in one segment, of one epoch, each going on where the one before
/// ended.
struct shard_run {
  shard_id shard;
  epoch_t epoch = 0;
  std::uint64_t offset = 0, end_offset = 0; ///< of its first frame; behind its last
  lsn_t previous = 0;                       ///< last record before the run
  lsn_t first = 0, last = 0; ///< records; first is 0 and last equals previous when there are none
  lsn_t keep = lsn_max;      ///< records above it are void: the log was cut here later
  lsn_t reserved = 0;
  lsn_t commit = 0; ///< of a replicated shard: known to be committed; 0: nothing was said
  std::uint64_t frames = 0, records = 0;
  bool cuts = false; ///< `previous` is below the end of the log before it, on purpose
};

/// Bytes of a segment between valid frames that cannot be read.
struct segment_hole {
  std::uint64_t begin = 0, end = 0;
};

/// A segment file and what is in it.
struct segment_info {
  std::string path;
  segment_header header;
  std::uint64_t file_bytes = 0;
  std::uint64_t data_end =
      0; ///< behind the last valid frame (of a live segment: the last that is on disk)
  std::vector<shard_run> runs;     ///< by offset of their first frame
  std::vector<segment_hole> holes; ///< by offset; only where salvage_segment() found damage
  bool closed = false;             ///< nothing more is written to it
  std::uint64_t archived = 0;      ///< no backup will ask for what lies below
};

/// A line of a state table as the frame without records that it stands for.
[[nodiscard]] frame_header state_line(const table_entry& line) noexcept;

/// Collects the frames of a segment, in file order, into runs.
class run_builder {
public:
  explicit run_builder(std::vector<shard_run>& runs) : runs_(runs) {}
  /// A frame of kind `records`, or a state_line(). Returns the index of its run.
  std::uint32_t add(const frame_header& frame, std::uint64_t offset);

private:
  std::vector<shard_run>& runs_;
  std::unordered_map<std::uint32_t, std::uint32_t>
      last_run_; ///< by shard: 1 + index of its last run
};

} // namespace warp::storage
