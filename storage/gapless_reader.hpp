#pragma once

#include "messages/ids.hpp"
#include "storage/log_cursor.hpp"
#include "storage/log_record.hpp"

#include <cstdint>
#include <functional>

namespace warp::storage {

/// Where the LSNs of this start join those of the starts before it.
struct log_origin {
  lsn_t last = 0; ///< of the log that recovery kept
  lsn_t next = 1; ///< first LSN handed out since
  /// No unlogged write is known to stand between the two (a checkpoint may have kept some).
  bool exact = true;
  /// Of a replicated shard: everything is logged, and LSNs that the log leaves out are none. What a
  /// frame follows says whether something is missing.
  bool linked = false;
};

/// Reads a shard's log record by record and notices every LSN that it does not find there: a write
/// at level memory, a write that a crash took back, a log that was released (where all is logged,
/// every record). So whoever reads to
/// the end has seen every change, or knows that it has not. One thread at a time.
class gapless_reader {
public:
  enum class outcome : std::uint8_t {
    more, ///< a frame's records were handed out
    tail, ///< everything up to `up_to` was
    lost, ///< something behind the position cannot be read: final
  };

  /// Starts behind `after`. The store is borrowed.
  gapless_reader(segment_store& store, shard_id shard, lsn_t after, log_origin origin);

  /// Hands out the changes of the next frame that are not above `up_to` (a durable LSN); those of a
  /// together record, which have one LSN, all within one call.
  /// Compressed values come as they are; views live as long as the call.
  outcome read(lsn_t up_to, const std::function<void(const log_record&)>& visit);

  /// See log_cursor::rest().
  void rest() noexcept { cursor_.rest(); }

  /// Last LSN that was handed out or is known to be none.
  [[nodiscard]] lsn_t position() const noexcept { return position_; }

private:
  void move_to(lsn_t lsn) noexcept;

  log_cursor cursor_;
  lsn_t position_;
  log_origin origin_;
};

} // namespace warp::storage
