#pragma once

#include "messages/ids.hpp"
#include "messages/status.hpp"
#include "storage/clock.hpp"
#include "storage/direct_io.hpp"
#include "storage/log_buffer.hpp"
#include "storage/segment_store.hpp"
#include "storage/stats.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace warp::storage {

/// Where a shard stands in the segments of its stream.
struct shard_place {
  shard_id shard;
  epoch_t epoch = 0;
  lsn_t last = 0, reserved = 0;
};

/// A frame that is to be written.
struct outgoing_frame {
  std::uint32_t place = 0; ///< of its shard, among the writer's places
  frame_header header;     ///< length, segment, timestamp and synced are filled in by the writer
  /// The frame's bytes with its padding: the first piece begins with room for the header. None: a
  /// frame without records.
  std::span<const log_buffer::piece> pieces;
  std::uint64_t length = 0; ///< of the pieces, without the padding
  epoch_t epoch = 0;        ///< highest of the shard
};

/// Puts the frames of one stream on disk: fills the current segment, seals it, goes on in the next
/// one. One thread at a time, but for prepare_next() and stats().
class segment_writer {
public:
  /// `time`: borrowed; null: the system's.
  segment_writer(segment_store& store, std::uint32_t stream, const clock* time,
                 std::uint64_t timestamp_us_min);
  ~segment_writer();

  /// Begins a chain: a segment with a state table of these places, durable when it returns ok.
  /// `after_failure`: the segment before ends without a seal.
  op_status start(std::vector<shard_place> places, bool after_failure);

  /// Writes frames[next] and on, with as few writes and syncs as segments allow (normally one
  /// each), and moves `next` behind those that are on disk. no_space: nothing is lost, call it
  /// again with the same frames. io_error: what is on disk is unknown; only start() helps.
  op_status write(std::span<outgoing_frame> frames, std::size_t& next);

  /// Names the last synced offset, when there is room; may be lost itself.
  op_status write_idle_mark();
  /// Ends the chain cleanly. next_lsn: by place.
  op_status write_end_mark(std::span<const lsn_t> next_lsn);

  /// Makes about `budget` bytes of the next segment, if a quarter of the current one is used and
  /// nobody else is at it; after a failure it does nothing for a while. 0: all of it, waiting for
  /// whoever is at it. True when something was done. Any thread.
  op_result<bool> prepare_next(std::uint64_t budget);

  [[nodiscard]] stream_stats stats() const;

private:
  op_status open_next(std::uint64_t bytes_min);
  op_status open_next_locked(std::uint64_t bytes_min, bool after_failure);
  op_status prepare_locked(std::uint64_t bytes_min, std::uint64_t budget, bool after_failure);
  op_status write_group(bool sync);
  void begin_group();
  void place(outgoing_frame& frame);
  void place_table(frame_kind kind, std::span<const lsn_t> next_lsn = {});
  void finish_header(frame_header header, char* bytes);
  void add_piece(std::string_view bytes);
  op_status write_direct(bool sync);
  op_status write_cached(bool sync);
  void count_wait();
  void close_segment();
  [[nodiscard]] std::uint64_t table_bytes() const noexcept;
  [[nodiscard]] std::uint64_t frames_end_max() const noexcept;

  segment_store& store_;
  const std::uint32_t stream_;
  const clock* time_;
  std::vector<shard_place> places_;
  std::unordered_map<std::uint32_t, std::uint32_t> place_of_; ///< by shard
  std::uint64_t timestamp_us_;

  // The current segment.
  std::unique_ptr<file> file_;
  std::shared_ptr<segment_info> info_;
  std::unique_ptr<run_builder> runs_;
  std::uint64_t offset_ = 0; ///< where the next frame goes
  std::uint64_t synced_ = 0; ///< everything below is on disk
  bool state_missing_ = false;

  /// Segments of chains that have failed.
  struct old_segment {
    std::shared_ptr<segment_info> info;
    std::unique_ptr<run_builder> runs;
    std::uint64_t end = 0;
  };
  std::vector<old_segment> to_close_;
  /// Their prepared successors: a seal that did get to disk says that they are there.
  std::vector<std::unique_ptr<segment_builder>> passed_over_;

  // The frames of one write. Directly: copied to output_ frame by frame, while they are in the
  // processor's cache from the checksum. Otherwise: named in pieces_, and copied by the system.
  const bool direct_;
  direct_output output_;
  op_status output_status_; ///< of the writes that add_piece() did
  std::vector<std::string_view> pieces_;
  std::vector<segment_store::placed_frame> placed_;
  std::vector<const outgoing_frame*> placed_frames_;
  std::deque<std::string> scratch_; ///< bytes of frames that no log buffer holds
  std::uint64_t group_end_ = 0;
  bool sealed_ = false;

  std::mutex prepare_mutex_; ///< guards the next segment
  std::unique_ptr<segment_builder> next_;
  bool next_complete_ = false;
  std::uint64_t next_sequence_ = 1;
  std::chrono::steady_clock::time_point prepare_again_at_{}; ///< after a failure
  std::atomic<bool> next_wanted_{false};

  mutable std::mutex stats_mutex_;
  stream_stats stats_;
};

} // namespace warp::storage
