#include "storage/log_continuity.hpp"

#include "storage/segment_info.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace warp::storage {

void log_continuity::start_at(std::uint32_t shard, lsn_t last, lsn_t reserved) {
  last_[shard] = last;
  reserved_[shard] = reserved;
}

op_status log_continuity::follow(const segment_header& segment, const frame_header& frame,
                                 std::string_view body) {
  if (frame.kind == frame_kind::records) return follow_shard(segment, frame, false);
  if (frame.kind != frame_kind::state) return {};
  const auto table = decode_table(frame, body);
  if (!table) return {op_code::corruption, "a table with impossible lines"};
  for (const auto& line : *table)
    if (auto s = follow_shard(segment, state_line(line), true); !s.ok()) return s;
  return {};
}

op_status log_continuity::follow_shard(const segment_header& segment, const frame_header& frame,
                                       bool in_table) {
  const auto shard = frame.shard.value;
  if (shard >= last_.size())
    return {op_code::corruption, fmt::format("shard {} of {}", shard, last_.size())};
  if (frame.previous > last_[shard]) {
    if (first_gap_.empty()) {
      const std::string_view why =
          in_table && segment.after_failure
              ? "never got to the log, which had failed: a checkpoint took their place"
              : "had been let go by the log before a backup had them";
      first_gap_ = fmt::format("records {} to {} of shard {} {}", last_[shard] + 1, frame.previous,
                               shard, why);
    }
    missing_up_to_[shard] = std::max(missing_up_to_[shard], frame.previous);
  }
  last_[shard] = frame.last;
  reserved_[shard] = std::max(reserved_[shard], frame.reserved);
  return {};
}

void log_continuity::lose(std::uint32_t shard, lsn_t last) noexcept {
  missing_up_to_[shard] = std::max(missing_up_to_[shard], last);
}

} // namespace warp::storage
