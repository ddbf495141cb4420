#include "storage/log_replay.hpp"

#include "storage/wal_format.hpp"

#include <fmt/format.h>
#include <string_view>
#include <unordered_map>

namespace warp::storage {

op_result<segment_bytes> load_segment(file_system& files, std::shared_ptr<segment_info> info,
                                      segment_bytes reuse) {
  auto f = files.open(info->path, open_mode::read);
  if (!f) return f.status();
  auto segment = std::move(reuse);
  segment.size = info->data_end;
  if (segment.capacity < segment.size) {
    segment.data = std::make_unique_for_overwrite<char[]>(segment.size);
    segment.capacity = segment.size;
  }
  auto got = (*f)->read_at(0, {segment.data.get(), segment.size});
  if (!got) return got.status();
  if (*got != segment.size)
    return op_status{op_code::corruption,
                     fmt::format("{}: it has become shorter: {} bytes instead of {}", info->path,
                                 *got, segment.size)};
  segment.info = std::move(info);
  return segment;
}

op_status replay(const segment_bytes& segment, std::span<const replay_range> range,
                 const record_consumer& consume, std::size_t value_bytes_max) {
  const auto& info = *segment.info;
  const std::string_view bytes{segment.data.get(), segment.size};
  const auto damaged = [&](std::uint64_t at, std::string_view cause) {
    return op_status{op_code::corruption, fmt::format("{}: at {}: {}", info.path, at, cause)};
  };
  // The runs of one shard follow each other: the one in force is the last that has begun.
  std::unordered_map<std::uint32_t, const shard_run*> current;
  std::size_t next_run = 0, next_hole = 0;

  for (std::uint64_t at = segment_header_bytes; at < bytes.size();) {
    for (; next_run < info.runs.size() && info.runs[next_run].offset <= at; ++next_run)
      current[info.runs[next_run].shard.value] = &info.runs[next_run];
    if (next_hole < info.holes.size() && at == info.holes[next_hole].begin) {
      at = info.holes[next_hole++].end;
      continue;
    }
    const auto rest = bytes.substr(at);
    const auto frame = peek_frame(rest, info.header.id);
    if (!frame || frame->length > rest.size())
      return damaged(at, "this frame was valid a moment ago, and is not any more");
    const auto offset = at;
    at += padded(frame->length);
    if (frame->kind != frame_kind::records || frame->count == 0) continue;
    const auto shard = frame->shard.value;
    if (shard >= range.size() || !range[shard].wanted) continue;
    const auto& wanted = range[shard];
    const auto up_to = std::min(wanted.up_to, current[shard]->keep);
    if (frame->last <= wanted.above || frame->first > up_to) continue;
    if (!check_frame(rest, info.header.id, offset))
      return damaged(offset, "a frame with a wrong checksum");

    auto body = rest.substr(frame_header_bytes, frame->length - frame_header_bytes);
    const replay_context context{frame->shard, frame->epoch, frame->timestamp_us};
    lsn_t lsn = frame->first - 1;
    std::uint32_t count = 0;
    log_record record;
    while (!body.empty()) {
      if (!decode_record(body, lsn, record))
        return damaged(offset, "a frame with a malformed record");
      if (record.op == log_op::parts) continue;
      ++count;
      if (lsn <= wanted.above || lsn > up_to) continue;
      op_status status;
      each_change(record, [&](log_record& change) {
        if (!status.ok()) return;
        status = expand(change, value_bytes_max);
        status = status.ok() ? consume(context, change) : damaged(offset, status.message());
      });
      if (!status.ok()) return status;
    }
    if (count != frame->count || lsn != frame->last)
      return damaged(offset, "a frame whose records do not fit its header");
  }
  return {};
}

} // namespace warp::storage
