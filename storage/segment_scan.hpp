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
  lsn_t previous = 0; ///< the shard's last record before it, which need not be the LSN before
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
/// `whole`: a file of another size than it was made with is corruption too; false for a copy of its
/// front, as a backup has it.
op_result<segment_scan> scan_segment(file_system& files, const std::string& path,
                                     const universe_id& universe, std::uint64_t generation = 0,
                                     bool whole = true);

/// Of a version_mismatch that a segment's header gave: does its checksum not fit either? A newer
/// version may keep that elsewhere, and a bit of ours may have flipped.
[[nodiscard]] bool may_be_damage(const op_status& mismatch) noexcept;

/// Reads what can be read of a damaged segment: every valid frame up to the last offset that one of
/// them names as on disk, with the holes between them in segment_info::holes, and behind it the
/// valid frames that follow without one. A header that cannot be read is made up from the file's
/// name and the id before its frames. `findings`: what was wrong, sentences with path and offset.
/// corruption: nothing in it can be believed; version_mismatch: of a newer program.
op_result<segment_scan> salvage_segment(file_system& files, const std::string& path,
                                        const universe_id& universe, std::uint64_t generation,
                                        std::vector<std::string>& findings);

} // namespace warp::storage
