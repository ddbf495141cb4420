#pragma once

#include "messages/ids.hpp"
#include "messages/status.hpp"
#include "storage/file_window.hpp"
#include "storage/segment_store.hpp"
#include "storage/wal_format.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace warp::storage {

/// A frame as it is in the log.
struct log_frame {
  frame_header header;
  std::string_view records; ///< for decode_record(), starting with lsn = header.first - 1
  lsn_t keep = lsn_max;     ///< records above it are void
};

/// Reads the frames of one shard from an LSN on, in a live log or a recovered one: catch-up of
/// followers, dumps, restore to a point in time. Skips segments without records of the shard. One
/// thread at a time; any thread may write the log meanwhile.
class log_cursor {
public:
  /// Starts behind `after`. The store is borrowed.
  log_cursor(segment_store& store, shard_id shard, lsn_t after);

  /// The next frame with records above the position and not above `up_to`
  /// (shard_log::durable_lsn(), or a commit point; lsn_max for a log that nobody writes), or
  /// nothing when there is none yet. It may begin with records at or below the position and end
  /// with records above `up_to`: pass over them. Valid until the next call. not_found: the log no
  /// longer reaches back to the position (a checkpoint does); corruption, io_error: with path and
  /// offset.
  op_result<std::optional<log_frame>> next(lsn_t up_to);

  /// Lets go of file, memory and segment until the next call of next(): a cursor that waits holds
  /// nothing back, and may find the log released when it goes on.
  void rest() noexcept;

  /// Last LSN handed out.
  [[nodiscard]] lsn_t position() const noexcept { return position_; }

private:
  op_result<bool> find_run();
  [[nodiscard]] op_status behind() const;
  op_result<std::string_view> bytes_at(std::uint64_t offset, std::uint64_t size);

  segment_store& store_;
  const shard_id shard_;
  lsn_t position_;
  std::shared_ptr<segment_info> segment_; ///< being read; holding it keeps its file
  std::weak_ptr<segment_info> rested_;    ///< the one that was being read
  shard_run run_;                         ///< a copy of the run being read
  std::uint64_t offset_ = 0;              ///< of the next frame
  file_window window_;
};

} // namespace warp::storage
