#pragma once

#include "messages/status.hpp"
#include "storage/clock.hpp"
#include "storage/segment_store.hpp"
#include "storage/segment_writer.hpp"
#include "storage/shard_log.hpp"
#include "storage/stats.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace warp::storage {

struct wal_stream_options {
  std::uint32_t stream = 0;
  std::uint64_t buffer_bytes = 64u << 20; ///< unwritten log at most; one batch may go beyond
  std::chrono::milliseconds flush_interval{50};
  std::uint64_t round_bytes = 1u << 20; ///< a round starts early when this much waits
  std::uint64_t frame_bytes =
      1u << 20; ///< a frame is closed at the first end of a batch beyond this
  std::uint64_t reservation = 1u << 22; ///< LSNs in a block
  /// How long a stream that found no space waits before it tries again; and one that failed, before
  /// it tries again to start a new chain: twice as long after each failure, up to retry_max.
  std::chrono::milliseconds retry_min{200};
  std::chrono::milliseconds retry_max{10'000};
  const clock* time = nullptr;        ///< borrowed; null: the system's
  std::uint64_t timestamp_us_min = 0; ///< newest in the recovered log: frames do not go below it
  /// Called once after each round in which a durable LSN (of any stream's shard) moved or something
  /// failed, on the thread that ran it, without locks. Must not block.
  std::function<void()> on_round;
};

/// One log stream: writes what its shards have appended, one vectored write and one fdatasync per
/// round.
///
///     open -> running --close()--> closed
///               |  ^
///       failed write or sync | cover(), run()   (no_space is no failure: it goes away by itself)
///               v  |
///             failed
///
/// run() by one thread at a time; it needs nothing but to be called in a loop, starts no thread and
/// never polls.
class wal_stream {
public:
  /// Makes the first segment and writes a state frame with every shard's position and reservation;
  /// durable when it returns ok. `logs`: the shards of this stream, borrowed, each in one stream.
  /// Attaches them.
  static op_result<std::unique_ptr<wal_stream>>
  open(segment_store& store, wal_stream_options options, std::vector<shard_log*> logs);
  ~wal_stream(); ///< detaches the logs, writes nothing
  wal_stream(const wal_stream&) = delete;
  wal_stream& operator=(const wal_stream&) = delete;

  /// One turn: waits up to `wait_max` for work (a sync request: at once; else flush_interval after
  /// the first append, or as soon as round_bytes wait; returns early on interrupt()), then writes,
  /// syncs and publishes one round. True when it wrote one.
  bool run(std::chrono::milliseconds wait_max);
  void interrupt() noexcept;    ///< ends the waiting of run(); any thread
  void request_sync() noexcept; ///< any thread
  /// Those who wait for room look again: segments were let go. Any thread.
  void wake_waiters() noexcept;

  /// Rounds until nothing waits. Instead of run(), by the same thread.
  op_status flush();
  /// flush(), then the end mark. Instead of run(); with several streams flush() all of them first.
  /// no_space or io_error: the stop is not clean, the next start recovers.
  op_status close();

  /// After a failure: checkpoints of each shard of this stream are published which cover every LSN
  /// it handed out (shard_log::next_lsn() - 1). run() starts a new chain, and tries again with a
  /// growing pause while that fails. What was not on disk counts as durable by the checkpoints. Any
  /// thread.
  void cover() noexcept;
  /// It has failed, and waits for checkpoints and cover(). Any thread.
  [[nodiscard]] bool needs_cover() const noexcept {
    return gate_->condition() == stream_condition::failed &&
           !covered_.load(std::memory_order_acquire);
  }
  [[nodiscard]] bool covered() const noexcept {
    return gate_->condition() == stream_condition::failed &&
           covered_.load(std::memory_order_acquire);
  }
  /// Starts the new chain now. Instead of run(), after cover().
  op_status revive();

  /// Prepares the next segment if it is time to. While the store has a maker, nobody else does it
  /// before the segment is needed; otherwise run() does it piece by piece between rounds. Any
  /// thread; blocks for the disk.
  op_status prepare_next();

  [[nodiscard]] std::uint32_t stream() const noexcept { return options_.stream; }
  /// ok, io_error (final until revive), no_space (writes are refused for now).
  [[nodiscard]] op_status condition() const;
  [[nodiscard]] bool out_of_space() const noexcept {
    return gate_->condition() == stream_condition::no_space;
  }
  [[nodiscard]] std::uint64_t buffered_bytes() const noexcept { return gate_->buffered_bytes(); }
  [[nodiscard]] stream_stats stats() const;

private:
  struct member {
    shard_log* log = nullptr;
    shard_log::taken_round round; ///< taken and not published yet
  };
  using time_point = std::chrono::steady_clock::time_point;

  wal_stream(segment_store& store, wal_stream_options options, std::vector<shard_log*> logs);

  bool wait_for_work(time_point until);
  void wait_while_failed(time_point until);
  bool prepare_slice();
  bool write_idle_mark();
  bool take_round() noexcept;
  void lay_out_round();
  void lay_out(std::uint32_t index);
  /// For a frame that ends at `last`.
  [[nodiscard]] static std::uint32_t uncommitted(const shard_log::taken_round& round,
                                                 lsn_t last) noexcept;
  op_status write_frames();
  bool write_round();
  void publish_round() noexcept;
  void press() noexcept;
  void advance(settled_transactions& settled) noexcept;
  void tell(const log_transaction& transaction, settled_transactions& settled) noexcept;
  void wait_for_space(op_status why) noexcept;
  void fail(op_status why) noexcept;
  void drop_everything() noexcept;
  [[nodiscard]] bool round_in_progress() const noexcept { return !round_members_.empty(); }

  const wal_stream_options options_;
  const std::shared_ptr<stream_gate> gate_;
  segment_writer writer_;
  std::vector<member> members_;

  // The running thread's.
  std::vector<std::uint32_t> round_members_;
  std::vector<shard_log*> wishes_; ///< shards that somebody waits for
  std::vector<outgoing_frame> frames_;
  std::size_t next_frame_ = 0; ///< those before it are on disk
  time_point flush_due_{};     ///< of the first unflushed append; zero: none seen
  time_point retry_at_{};      ///< after no_space
  time_point idle_mark_at_{};
  bool idle_mark_missing_ = true;
  bool sync_owed_ = false; ///< a request came while there was no space
  held_parts lost_parts_;  ///< that a failure kept from the disk
  std::chrono::milliseconds revive_pause_{0};
  std::atomic<bool> covered_{false}; ///< checkpoints hold what a failure kept from the disk

  mutable std::mutex stats_mutex_;
  std::uint64_t rounds_ = 0, failures_ = 0, revivals_ = 0;
  op_status failure_;
  segment_store& store_;
};

} // namespace warp::storage
