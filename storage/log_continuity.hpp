#pragma once

#include "messages/ids.hpp"
#include "messages/status.hpp"
#include "storage/wal_format.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace warp::storage {

/// Follows the log of all shards, frame by frame, and notes what is missing of it. Every segment
/// begins with where each of its shards stands, so nothing goes missing unnoticed, whole segments
/// neither. One thread.
class log_continuity {
public:
  explicit log_continuity(std::uint32_t shard_count)
      : last_(shard_count), reserved_(shard_count), missing_up_to_(shard_count) {}

  /// What follows goes on from here. Before the first frame.
  void start_at(std::uint32_t shard, lsn_t last, lsn_t reserved);
  /// The next frame of its stream, checked; `body` is what follows its header, without padding.
  /// corruption: an impossible shard or table.
  op_status follow(const segment_header& segment, const frame_header& frame, std::string_view body);
  /// Records up to `last`, which were followed, are not to be had after all.
  void lose(std::uint32_t shard, lsn_t last) noexcept;

  [[nodiscard]] lsn_t last(std::uint32_t shard) const noexcept { return last_[shard]; }
  [[nodiscard]] lsn_t reserved(std::uint32_t shard) const noexcept { return reserved_[shard]; }
  /// Above it nothing is missing; 0: nothing at all.
  [[nodiscard]] lsn_t missing_up_to(std::uint32_t shard) const noexcept {
    return missing_up_to_[shard];
  }
  /// A sentence about the first frame that did not go on where the log before it ended; empty:
  /// none.
  [[nodiscard]] const std::string& first_gap() const noexcept { return first_gap_; }

private:
  op_status follow_shard(const segment_header& segment, const frame_header& frame, bool in_table);

  std::vector<lsn_t> last_, reserved_, missing_up_to_; ///< by shard
  std::string first_gap_;
};

} // namespace warp::storage
