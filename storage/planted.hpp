#pragma once

namespace warp::storage {

/// Known mistakes, to show that the tests would see them (`tests/run planted`). Outside of the
/// build for that, which defines WARP_PLANTED, planted() is false at compile time and nothing is
/// left of them.
enum class mistake : unsigned char {
  none,
  checkpoint_before_log,    ///< a checkpoint is published before the log is durable up to its end
  durable_before_all_parts, ///< a part of a transaction counts as durable while another is not
  log_released_too_far,     ///< of the log only what is above a checkpoint's end is kept
  lsn_block_not_skipped,    ///< after a crash LSNs go on behind the last record
  no_frame_checksum,        ///< of the log
  one_segment_id,           ///< for all segments: what an earlier use left behind is believed
  part_believed,            ///< of a transaction, although another one is missing
  replay_from_end,          ///< of a checkpoint instead of its start
  seal_not_synced,          ///< before the next segment is used
  synced_too_high,          ///< a frame names as synced what is on its way with it
};

#ifdef WARP_PLANTED
extern mistake planted_mistake;
[[nodiscard]] inline bool planted(mistake m) noexcept {
  return planted_mistake == m;
}
#else
[[nodiscard]] constexpr bool planted(mistake) noexcept {
  return false;
}
#endif

} // namespace warp::storage
