#pragma once

#include "messages/ids.hpp"
#include "messages/status.hpp"
#include "storage/direct_io.hpp"
#include "storage/file_system.hpp"
#include "storage/segment_info.hpp"
#include "storage/universe_id.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

namespace warp::storage {

struct segment_store_options {
  file_system* files = nullptr; ///< borrowed
  std::string folder;           ///< of the segments ("DATA/wal"); must exist
  universe_id universe;
  std::uint64_t generation = 0;
  std::uint64_t start = 1; ///< number of this process start: above every one in the folder
  std::uint64_t segment_bytes = 64u << 20;  ///< multiple of 4,096
  std::uint32_t spares_max = 4;             ///< old segments kept to be used again
  std::function<std::uint64_t()> random_id; ///< empty: the system's random source
  direct_io direct = direct_io::automatic;
  /// Writers are to pause while closed segments take this much; 0: never.
  std::uint64_t pause_bytes = 0;
};

/// A segment in the making. Not thread-safe. Destroyed unfinished, it leaves no file behind.
class segment_builder {
public:
  ~segment_builder();
  segment_builder(const segment_builder&) = delete;
  segment_builder& operator=(const segment_builder&) = delete;

  /// Writes at most about `bytes_max` of it (0: all that is left); true when it is complete: in
  /// full on disk, its name and header too. After a failure (no_space, io_error) drop it and begin
  /// another.
  op_result<bool> step(std::uint64_t bytes_max);
  /// Of a complete one, once: for direct writes where the store says so.
  [[nodiscard]] std::unique_ptr<file> take_file() { return std::move(file_); }
  [[nodiscard]] std::shared_ptr<segment_info> info() const { return info_; }
  [[nodiscard]] bool recycled() const noexcept { return recycled_; } ///< made of a spare
  [[nodiscard]] bool complete() const noexcept { return complete_; }

private:
  friend class segment_store;
  segment_builder() = default;
  op_status open_file();
  op_status write_zeros(std::uint64_t stop);
  op_status finish();

  class segment_store* store_ = nullptr;
  std::shared_ptr<segment_info> info_;
  std::string temporary_; ///< path until it is complete
  std::unique_ptr<file> file_;
  std::uint64_t zeroed_ = 0;
  bool recycled_ = false, complete_ = false;
};

/// All segment files of a log folder, those of earlier starts included: knows what is in which,
/// makes new ones, and lets go of those that nobody needs. Shared by all streams. Thread-safe.
class segment_store {
public:
  /// `recovered`: log_survey::infos(); drop the survey afterwards, a segment that somebody
  /// holds is never released. Spares and unfinished files in the folder
  /// are used or removed.
  static op_result<std::unique_ptr<segment_store>>
  open(segment_store_options options, std::vector<std::shared_ptr<segment_info>> recovered = {});

  [[nodiscard]] const segment_store_options& options() const noexcept { return options_; }
  /// Do segments pass the page cache? What open() found, and the option allows.
  [[nodiscard]] bool direct() const noexcept { return direct_; }

  /// Begins a segment of at least `bytes_min` bytes (normally segment_bytes); the file is a spare
  /// or new.
  op_result<std::unique_ptr<segment_builder>> begin(std::uint32_t stream, std::uint64_t sequence,
                                                    std::uint64_t bytes_min,
                                                    bool after_failure = false);
  /// Enters a complete segment: from now on cursors see it, and release() considers it once it is
  /// closed.
  void enter(const std::shared_ptr<segment_info>& info);
  /// A frame of a live segment and where it is.
  struct placed_frame {
    frame_header header;
    std::uint64_t offset;
  };
  /// These frames of a live segment are on disk now, and with them everything below `data_end`;
  /// `close`: it gets no more. A frame that cuts makes what it cuts void.
  void append(segment_info& info, run_builder& runs, const std::vector<placed_frame>& frames,
              std::uint64_t data_end, bool close);
  /// A complete segment that was never entered: becomes a spare.
  void discard(std::unique_ptr<segment_builder> builder);

  /// Lets go of closed segments all of whose records have LSNs below needed_from(shard) (lsn_max:
  /// needs nothing; a record that was cut does not count; called under the store's lock), the
  /// oldest first, until the closed ones that are left take no more than `bytes_max`: a few become
  /// spares, the others are removed. Segments that somebody holds, a cursor above all, stay, and
  /// with `archived_only` those with bytes that a backup may still ask for. Blocks for a sync of
  /// the folder and some renames. What is not released is tried again by the next call.
  op_status release(const std::function<lsn_t(shard_id)>& needed_from, std::uint64_t bytes_max = 0,
                    bool archived_only = false);
  /// No backup will ask for the bytes of these segments below those offsets. Segments that are
  /// gone: ignored.
  void set_archived(const std::map<segment_name, std::uint64_t>& ends);

  /// Removes spares that nobody has needed since the last call, but for `keep` of them.
  op_status drop_idle_spares(std::size_t keep);

  /// All segments by start, stream and sequence; shared with their writer: read them inside
  /// with_segments().
  void with_segments(
      const std::function<void(const std::vector<std::shared_ptr<segment_info>>&)>& reader) const;
  /// Segments with records of the shard above `after` that are not void, in log order. While the
  /// pointers live the files stay.
  [[nodiscard]] std::vector<std::shared_ptr<segment_info>> segments_of(shard_id shard,
                                                                       lsn_t after) const;

  [[nodiscard]] std::uint64_t bytes_kept() const;    ///< of all files: spares, unfinished ones
  [[nodiscard]] std::uint64_t bytes_closed() const;  ///< of segments that get no more frames
  [[nodiscard]] std::uint64_t segments_kept() const; ///< spares not included
  /// Segments with this stream's number, of any start.
  struct usage {
    std::uint64_t segments = 0, bytes = 0;
  };
  [[nodiscard]] usage usage_of(std::uint32_t stream) const;

  // -- when there is too much
  // -----------------------------------------------------------------------------------------

  /// True while bytes_closed() is at options().pause_bytes or above. The flag outlives the store.
  [[nodiscard]] const std::shared_ptr<std::atomic<bool>>& full() const noexcept { return full_; }
  struct pause_stats {
    std::uint64_t count = 0, ms = 0; ///< the one that lasts included
  };
  [[nodiscard]] pause_stats pauses() const;

  // -- making segments ahead, see segment_maker.hpp
  // -------------------------------------------------------------------

  void add_maker() noexcept { makers_.fetch_add(1, std::memory_order_relaxed); }
  void remove_maker() noexcept { makers_.fetch_sub(1, std::memory_order_relaxed); }
  /// Does somebody make segments for the writers?
  [[nodiscard]] bool has_maker() const noexcept {
    return makers_.load(std::memory_order_relaxed) != 0;
  }
  /// A writer would like its next segment: ends wait_wanted().
  void want() noexcept;
  /// Blocks until want() was called since it last returned, or for `wait_max`.
  void wait_wanted(std::chrono::milliseconds wait_max);

private:
  friend class segment_builder;
  segment_store() = default;
  void count_closed(std::uint64_t added, std::uint64_t removed); ///< under the mutex
  std::uint64_t new_id();
  /// Removes the file, or renames it to a spare, whose path it leaves in `spare`: then
  /// keep_spares() must follow.
  op_status let_go(const segment_info& info, std::string& spare);
  op_status keep_spares(std::vector<std::string> spares);

  segment_store_options options_;
  bool direct_ = false;
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<segment_info>> segments_;
  std::vector<std::string> spares_;          ///< paths
  std::size_t spares_coming_ = 0;            ///< renamed, not in spares_ yet
  std::vector<std::string> unsynced_spares_; ///< those of them whose sync has failed
  std::size_t spares_low_ = 0;               ///< fewest since drop_idle_spares()
  std::uint64_t spare_number_ = 0;
  std::uint64_t closed_bytes_ = 0, making_bytes_ = 0;
  pause_stats pauses_;
  std::chrono::steady_clock::time_point paused_at_{};
  const std::shared_ptr<std::atomic<bool>> full_ = std::make_shared<std::atomic<bool>>(false);

  std::atomic<std::uint32_t> makers_{0};
  std::mutex wanted_mutex_;
  std::condition_variable wanted_changed_;
  bool wanted_ = false;
};

} // namespace warp::storage
