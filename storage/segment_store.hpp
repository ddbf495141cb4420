#pragma once

#include "messages/ids.hpp"
#include "messages/status.hpp"
#include "storage/file_system.hpp"
#include "storage/segment_info.hpp"
#include "storage/universe_id.hpp"

#include <cstdint>
#include <functional>
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
  /// Of a complete one, once.
  [[nodiscard]] std::unique_ptr<file> take_file() { return std::move(file_); }
  [[nodiscard]] std::shared_ptr<segment_info> info() const { return info_; }

private:
  friend class segment_store;
  segment_builder() = default;
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
  /// `recovered`: what log_survey found (its segments()); spares and unfinished files in the folder
  /// are used or removed.
  static op_result<std::unique_ptr<segment_store>>
  open(segment_store_options options, std::vector<std::shared_ptr<segment_info>> recovered = {});

  [[nodiscard]] const segment_store_options& options() const noexcept { return options_; }

  /// Begins a segment of at least `bytes_min` bytes (normally segment_bytes); the file is a spare
  /// or new.
  op_result<std::unique_ptr<segment_builder>> begin(std::uint32_t stream, std::uint64_t sequence,
                                                    std::uint64_t bytes_min,
                                                    bool after_failure = false);
  /// Enters a complete segment: from now on cursors see it and release() considers it once it is
  /// closed.
  void enter(const std::shared_ptr<segment_info>& info);
  /// Changes the entry of a segment under the store's lock.
  void update(const std::function<void()>& change);

  /// Lets go of closed segments all of whose records have LSNs below needed_from(shard) (lsn_max:
  /// needs nothing; a record that was cut does not count): a few become spares, the others are
  /// removed. Segments that a cursor is reading stay. Blocks for a sync of the folder and some
  /// renames. What is not released stays and is tried again by the next call.
  op_status release(const std::function<lsn_t(shard_id)>& needed_from);

  /// All segments by start, stream and sequence; shared with their writer: read them inside
  /// with_segments().
  void with_segments(
      const std::function<void(const std::vector<std::shared_ptr<segment_info>>&)>& reader) const;
  /// Segments with records of the shard above `after` that are not void, in log order. While the
  /// pointers live the files stay.
  [[nodiscard]] std::vector<std::shared_ptr<segment_info>> segments_of(shard_id shard,
                                                                       lsn_t after) const;

  [[nodiscard]] std::uint64_t bytes_kept() const;    ///< spares included
  [[nodiscard]] std::uint64_t segments_kept() const; ///< spares not included
  [[nodiscard]] std::uint64_t created() const;
  [[nodiscard]] std::uint64_t recycled() const;

private:
  friend class segment_builder;
  segment_store() = default;
  std::uint64_t new_id();

  segment_store_options options_;
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<segment_info>> segments_;
  std::vector<std::string> spares_; ///< paths
  std::uint64_t spare_number_ = 0;
  std::uint64_t created_ = 0, recycled_ = 0;
};

} // namespace warp::storage
