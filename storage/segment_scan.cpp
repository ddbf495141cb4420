#include "storage/segment_scan.hpp"

#include "storage/byte_order.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <optional>
#include <string_view>

namespace warp::storage {

namespace {

op_status damaged(const std::string& path, std::uint64_t offset, std::string_view cause) {
  return {op_code::corruption, fmt::format("{}: at {}: {}", path, offset, cause)};
}

op_result<std::unique_ptr<char[]>> read_file(file_system& files, const std::string& path,
                                             std::uint64_t& size) {
  auto f = files.open(path, open_mode::read);
  if (!f) return f.status();
  auto bytes = (*f)->size();
  if (!bytes) return bytes.status();
  auto data = std::make_unique_for_overwrite<char[]>(*bytes);
  auto got = (*f)->read_at(0, {data.get(), *bytes});
  if (!got) return got.status();
  size = *got;
  return data;
}

/// Walks through the frames of one segment.
class scanner {
public:
  scanner(segment_scan& scan, std::string_view bytes)
      : scan_(scan), info_(*scan.info), bytes_(bytes), runs_(info_.runs) {}

  op_status walk() {
    std::uint64_t at = segment_header_bytes;
    while (at < bytes_.size() && scan_.end == segment_end::open) {
      const auto rest = bytes_.substr(at);
      const auto frame = check_frame(rest, info_.header.id, at);
      if (!frame) break;
      if (auto s =
              take(*frame, rest.substr(frame_header_bytes, frame->length - frame_header_bytes), at);
          !s.ok())
        return s;
      at += padded(frame->length);
    }
    info_.data_end = std::min<std::uint64_t>(at, bytes_.size());
    return look_behind(info_.data_end);
  }

private:
  op_status take(const frame_header& frame, std::string_view body, std::uint64_t at) {
    if ((frame.kind == frame_kind::state) != (at == segment_header_bytes))
      return damaged(
          info_.path, at,
          "a state table that is not the first frame, or a segment that begins without one");
    scan_.timestamp_us = std::max(scan_.timestamp_us, frame.timestamp_us);
    if (frame.kind == frame_kind::idle) return {};
    if (frame.kind == frame_kind::records) {
      const auto run = runs_.add(frame, at);
      return (frame.flags & frame_has_parts) != 0 ? take_parts(frame, body, at, run) : op_status{};
    }
    auto table = decode_table(frame, body);
    if (!table) return damaged(info_.path, at, "a table with impossible lines");
    switch (frame.kind) {
    case frame_kind::state:
      for (const auto& line : *table) runs_.add(state_line(line), at);
      break;
    case frame_kind::seal:
      scan_.end = segment_end::sealed;
      break;
    default:
      scan_.end = segment_end::clean;
      scan_.stop = std::move(*table);
    }
    return {};
  }

  op_status take_parts(const frame_header& frame, std::string_view body, std::uint64_t at,
                       std::uint32_t run) {
    lsn_t lsn = frame.first - 1;
    log_record record;
    while (!body.empty()) {
      if (!decode_record(body, lsn, record))
        return damaged(info_.path, at, "a frame with a malformed record");
      if (record.op != log_op::parts) continue;
      const auto parts = decode_parts(record);
      const auto own =
          std::find_if(parts.begin(), parts.end(), [&](auto& p) { return p.shard == frame.shard; });
      if (own == parts.end() || own->first < frame.first || own->last > frame.last)
        return damaged(info_.path, at, "a transaction's list that does not fit its frame");
      const auto begin = static_cast<std::uint32_t>(scan_.lists.size());
      scan_.lists.insert(scan_.lists.end(), parts.begin(), parts.end());
      scan_.parts.push_back({frame.shard, run, own->first, own->last, begin,
                             static_cast<std::uint32_t>(scan_.lists.size())});
    }
    return {};
  }

  /// What lies behind the last valid frame: nothing, a torn round, or damage. A frame of this
  /// segment that was written when `end` was already on disk says that something valid was here.
  op_status look_behind(std::uint64_t end) {
    for (std::uint64_t at = end; at + frame_header_bytes <= bytes_.size(); at += frame_alignment) {
      if (load_le<std::uint64_t>(bytes_.data() + at) != info_.header.id) continue;
      const auto rest = bytes_.substr(at);
      const auto frame = check_frame(rest, info_.header.id, at);
      if (frame && (frame->synced > end || scan_.end != segment_end::open))
        return damaged(info_.path, end,
                       fmt::format("a damaged frame: the frame at {} says that everything below {} "
                                   "was on disk before it",
                                   at, frame->synced));
      const auto maybe = frame ? frame : peek_frame(rest, info_.header.id);
      const auto length = maybe ? padded(maybe->length) : frame_header_bytes;
      scan_.torn_bytes =
          std::max(scan_.torn_bytes, std::min(at + length, std::uint64_t{bytes_.size()}) - end);
    }
    return {};
  }

  segment_scan& scan_;
  segment_info& info_;
  std::string_view bytes_;
  run_builder runs_;
};

} // namespace

op_result<std::vector<std::string>> list_segments(file_system& files, const std::string& folder) {
  auto there = files.exists(folder);
  if (!there) return there.status();
  if (!*there) return std::vector<std::string>{};
  auto names = files.list(folder);
  if (!names) return names.status();
  std::vector<std::pair<segment_name, std::string>> found;
  for (const auto& name : *names)
    if (const auto parsed = parse_segment_file_name(name))
      found.emplace_back(*parsed, folder + "/" + name);
  std::sort(found.begin(), found.end());
  std::vector<std::string> paths;
  for (auto& [name, path] : found) paths.push_back(std::move(path));
  return paths;
}

op_result<segment_scan> scan_segment(file_system& files, const std::string& path,
                                     const universe_id& universe, std::uint64_t generation) {
  std::uint64_t size = 0;
  auto data = read_file(files, path, size);
  if (!data) return data.status();
  const std::string_view bytes{data->get(), size};
  auto header = decode_segment_header(bytes);
  if (!header)
    return op_status{header.code(), fmt::format("{}: {}", path, header.status().message())};
  if (header->universe != universe)
    return damaged(path, 0,
                   fmt::format("it belongs to universe {}, not {}", to_string(header->universe),
                               to_string(universe)));
  if (generation != 0 && header->generation != generation)
    return damaged(
        path, 0, fmt::format("it is of generation {:x}, not {:x}", header->generation, generation));
  const auto name = parse_segment_file_name(std::string_view{path}.substr(path.rfind('/') + 1));
  if (name && *name != segment_name{header->start, header->stream, header->sequence})
    return damaged(path, 0,
                   "its header says it is " +
                       segment_file_name({header->start, header->stream, header->sequence}));

  segment_scan scan;
  scan.info = std::make_shared<segment_info>();
  scan.info->path = path;
  scan.info->header = *header;
  scan.info->file_bytes = size;
  if (auto s = scanner{scan, bytes}.walk(); !s.ok()) return s;
  return scan;
}

} // namespace warp::storage
