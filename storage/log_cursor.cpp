#include "storage/log_cursor.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace warp::storage {

log_cursor::log_cursor(segment_store& store, shard_id shard, lsn_t after)
    : store_(store), shard_(shard), position_(after) {}

namespace {
/// Heads of frames of other shards are passed over, so little is read at a time; frames of its own
/// are read whole.
constexpr std::uint64_t window_bytes = 16 * 1024;
} // namespace

void log_cursor::rest() noexcept {
  if (segment_) rested_ = segment_;
  segment_.reset();
  window_ = {};
}

/// Finds the run in which the log goes on behind the position; false: there is none yet.
op_result<bool> log_cursor::find_run() {
  bool found = false, same_segment = false;
  lsn_t end = 0;
  if (!segment_) segment_ = rested_.lock();
  store_.with_segments([&](const std::vector<std::shared_ptr<segment_info>>& segments) {
    for (const auto& segment : segments)
      for (const auto& run : segment->runs) {
        if (run.shard != shard_ || found) continue;
        end = run.cuts ? run.last : std::max(end, run.last);
        if (run.records == 0 || run.first > run.keep || std::min(run.last, run.keep) <= position_)
          continue;
        found = true;
        same_segment = segment == segment_;
        // A live run grows: where this cursor was in it, it goes on.
        if (!same_segment || run.offset != run_.offset) offset_ = run.offset;
        run_ = run;
        segment_ = segment;
      }
  });
  if (!found && end > position_) return behind();
  if (found && !same_segment) window_ = {};
  return found;
}

op_status log_cursor::behind() const {
  return {op_code::not_found, fmt::format("the log of shard {} no longer reaches back to LSN {}",
                                          shard_.value, position_)};
}

op_result<std::string_view> log_cursor::bytes_at(std::uint64_t offset, std::uint64_t size) {
  if (!window_.open()) {
    auto f = store_.options().files->open(segment_->path, open_mode::read);
    if (!f) return f.status();
    window_ = file_window{std::move(*f), window_bytes};
  }
  // Nothing behind the run: what is not published yet may still change.
  return window_.at(offset, size, run_.end_offset);
}

op_result<std::optional<log_frame>> log_cursor::next(lsn_t up_to) {
  if (position_ >= up_to) return std::optional<log_frame>{};
  for (;;) {
    if (!segment_ || offset_ >= run_.end_offset || std::min(run_.last, run_.keep) <= position_) {
      auto found = find_run();
      if (!found) return found.status();
      if (!*found) return std::optional<log_frame>{};
    }
    while (offset_ < run_.end_offset) {
      const auto damaged = [&](std::string_view cause) {
        return op_status{op_code::corruption,
                         fmt::format("{}: at {}: {}", segment_->path, offset_, cause)};
      };
      auto bytes = bytes_at(offset_, frame_header_bytes);
      if (!bytes) return bytes.status();
      auto header = peek_frame(*bytes, segment_->header.id);
      if (!header) return damaged("a damaged frame");
      const bool ours =
          header->kind == frame_kind::records && header->shard == shard_ && header->count != 0;
      if (!ours || header->last <= position_) {
        offset_ += padded(header->length);
        continue;
      }
      if (header->first > run_.keep) break;
      if (header->previous > position_) return behind();
      if (header->first > up_to) return std::optional<log_frame>{};
      bytes = bytes_at(offset_, header->length);
      if (!bytes) return bytes.status();
      header = check_frame(*bytes, segment_->header.id, offset_);
      if (!header) return damaged("a frame with a wrong checksum");
      log_frame frame;
      frame.header = *header;
      frame.records = bytes->substr(frame_header_bytes, header->length - frame_header_bytes);
      frame.keep = run_.keep;
      position_ = std::min({header->last, run_.keep, up_to});
      if (position_ == header->last)
        offset_ += padded(header->length); // else the rest of it comes later
      return std::optional{frame};
    }
    offset_ = run_.end_offset;
    position_ =
        std::max(position_, std::min(run_.last, run_.keep)); // all of the run was passed over
  }
}

} // namespace warp::storage
