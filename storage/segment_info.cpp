#include "storage/segment_info.hpp"

#include <algorithm>

namespace warp::storage {

frame_header state_line(const table_entry& line) noexcept {
  frame_header header;
  header.shard = line.shard;
  header.epoch = line.epoch;
  header.previous = header.first = header.last = line.a;
  header.reserved = line.b;
  return header;
}

std::uint32_t run_builder::add(const frame_header& frame, std::uint64_t offset) {
  auto& last = last_run_[frame.shard.value];
  const bool cuts = (frame.flags & frame_cuts) != 0;
  if (last == 0 || cuts || runs_[last - 1].epoch != frame.epoch ||
      runs_[last - 1].last != frame.previous) {
    shard_run run;
    run.shard = frame.shard;
    run.epoch = frame.epoch;
    run.offset = offset;
    run.previous = run.last = frame.previous;
    run.cuts = cuts;
    runs_.push_back(run);
    last = static_cast<std::uint32_t>(runs_.size());
  }
  auto& run = runs_[last - 1];
  run.end_offset = offset + padded(frame.length);
  run.reserved = std::max(run.reserved, frame.reserved);
  ++run.frames;
  if (frame.uncommitted != 0 && frame.uncommitted <= frame.last + 1)
    run.commit = std::max(run.commit, frame.last + 1 - frame.uncommitted);
  if (frame.count == 0) return last - 1;
  if (run.records == 0) run.first = frame.first;
  run.last = frame.last;
  run.records += frame.count;
  return last - 1;
}

} // namespace warp::storage
