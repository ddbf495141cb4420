#pragma once

#include "messages/status.hpp"
#include "storage/file_system.hpp"
#include "storage/log_record.hpp"
#include "storage/segment_info.hpp"
#include "storage/universe_id.hpp"
#include "storage/wal_format.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace warp::storage {

/// A transaction's part that stands in a segment.
struct found_part {
  shard_id shard;        ///< whose part it is
  std::uint32_t run = 0; ///< index in segment_info::runs
  lsn_t first = 0, last = 0;
  std::uint32_t list_begin = 0,
                list_end = 0; ///< all parts of the transaction, in segment_scan::lists
  bool lost = false;          ///< the log itself says, further on, that it is void
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
      0; ///< behind the last valid frame: of a round that did not get to disk in full
  std::uint64_t synced = segment_header_bytes; ///< the highest offset that a frame names as on disk
  std::uint64_t timestamp_us = 0;              ///< newest
  std::vector<table_entry> stop;               ///< of the end mark
  std::vector<found_part> parts;
  std::vector<transaction_part> lists;

  /// It has frames: it was written to, not only prepared.
  [[nodiscard]] bool used() const noexcept { return info->data_end > segment_header_bytes; }
};

/// Paths of the segments in a folder by start, stream, sequence; empty when the folder is not
/// there. Spares and unfinished files are passed over.
op_result<std::vector<std::string>> list_segments(file_system& files, const std::string& folder);

/// Reads one segment and checks every frame. A torn tail is normal; corruption, with path and
/// offset, when a frame is damaged that was on disk before a later one was written, or when the
/// file is not what its name says or belongs to another universe (or generation; 0 accepts any).
/// Any thread.
op_result<segment_scan> scan_segment(file_system& files, const std::string& path,
                                     const universe_id& universe, std::uint64_t generation = 0);

} // namespace warp::storage
