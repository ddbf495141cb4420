#include "storage/segment_scan.hpp"

#include "storage/byte_order.hpp"
#include "storage/file_window.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <optional>
#include <string_view>

namespace warp::storage {

namespace {

op_status damaged(const std::string& path, std::uint64_t offset, std::string_view cause) {
  return {op_code::corruption, fmt::format("{}: at {}: {}", path, offset, cause)};
}

/// Walks through the frames of one segment.
class scanner {
public:
  scanner(segment_scan& scan, file_window& window)
      : scan_(scan), info_(*scan.info), window_(window), runs_(info_.runs) {}

  op_status walk() {
    auto& at = info_.data_end;
    for (at = segment_header_bytes; at < info_.file_bytes && scan_.end == segment_end::open;) {
      auto bytes = window_.at(at, frame_header_bytes, info_.file_bytes);
      if (!bytes) return bytes.status();
      auto frame = peek_frame(*bytes, info_.header.id);
      if (!frame) break;
      if (frame->length > bytes->size()) {
        bytes = window_.at(at, frame->length, info_.file_bytes);
        if (!bytes) return bytes.status();
      }
      frame = check_frame(*bytes, info_.header.id, at);
      if (!frame) break;
      const auto body = bytes->substr(frame_header_bytes, frame->length - frame_header_bytes);
      if (auto s = take(*frame, body, at); !s.ok()) return s;
      at += padded(frame->length);
    }
    at = std::min(at, info_.file_bytes);
    return look_behind(at);
  }

  /// The same for a damaged segment, all of whose bytes are `bytes`.
  op_status walk_over_holes(std::string_view bytes) {
    struct place {
      std::uint64_t offset;
      frame_header header;
    };
    std::vector<place> valid;
    std::uint64_t proven = segment_header_bytes; // was on disk: what is missing below is damage
    for (std::uint64_t at = segment_header_bytes; at + frame_header_bytes <= bytes.size();) {
      const auto rest = bytes.substr(at);
      const auto frame = load_le<std::uint64_t>(rest.data()) == info_.header.id
                             ? check_frame(rest, info_.header.id, at)
                             : std::nullopt;
      if (!frame) {
        at += frame_alignment;
        continue;
      }
      valid.push_back({at, *frame});
      proven = std::max(proven, frame->synced);
      at += padded(frame->length);
    }
    auto& end = info_.data_end;
    end = segment_header_bytes;
    for (const auto& [at, frame] : valid) {
      if (at != end) {
        if (end >= proven) break; // a torn tail
        info_.holes.push_back({end, at});
      }
      const auto body = bytes.substr(at + frame_header_bytes, frame.length - frame_header_bytes);
      if (auto s = take(frame, body, at); !s.ok()) return s;
      end = std::min<std::uint64_t>(at + padded(frame.length), bytes.size());
      if (scan_.end != segment_end::open) break;
    }
    return {};
  }

private:
  op_status take(const frame_header& frame, std::string_view body, std::uint64_t at) {
    if ((frame.kind == frame_kind::state) != (at == segment_header_bytes))
      return damaged(
          info_.path, at,
          "a state table that is not the first frame, or a segment that begins without one");
    scan_.timestamp_us = std::max(scan_.timestamp_us, frame.timestamp_us);
    scan_.synced = std::max(scan_.synced, frame.synced);
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
    lsn_t lsn = frame.first - 1, previous = frame.previous;
    log_record record;
    while (!body.empty()) {
      if (!decode_record(body, lsn, record))
        return damaged(info_.path, at, "a frame with a malformed record");
      if (record.op != log_op::parts) {
        previous = lsn;
        continue;
      }
      const auto parts = decode_parts(record);
      const auto own =
          std::find_if(parts.begin(), parts.end(), [&](auto& p) { return p.shard == frame.shard; });
      if (own == parts.end() || own->first < frame.first || own->last > frame.last)
        return damaged(info_.path, at, "a transaction's list that does not fit its frame");
      const auto begin = static_cast<std::uint32_t>(scan_.lists.size());
      scan_.lists.insert(scan_.lists.end(), parts.begin(), parts.end());
      scan_.parts.push_back({frame.shard, run, own->first, own->last, previous, begin,
                             static_cast<std::uint32_t>(scan_.lists.size())});
    }
    return {};
  }

  /// What lies behind the last valid frame: nothing, a torn round, or damage. A frame of this
  /// segment that was written when `end` was already on disk says that something valid was here.
  op_status look_behind(std::uint64_t end) {
    for (auto at = end; at + frame_header_bytes <= info_.file_bytes;) {
      auto bytes = window_.at(at, frame_header_bytes, info_.file_bytes);
      if (!bytes) return bytes.status();
      if (bytes->size() < frame_header_bytes) break;
      std::uint64_t skip = 0;
      while (skip + frame_header_bytes <= bytes->size() &&
             load_le<std::uint64_t>(bytes->data() + skip) != info_.header.id)
        skip += frame_alignment;
      at += skip;
      if (skip + frame_header_bytes > bytes->size()) continue;
      if (auto s = look_at(at, end); !s.ok()) return s;
      at += frame_alignment;
    }
    return {};
  }

  /// The segment's id stands at `at`, behind the last valid frame.
  op_status look_at(std::uint64_t at, std::uint64_t end) {
    auto bytes = window_.at(at, frame_header_bytes, info_.file_bytes);
    if (!bytes) return bytes.status();
    const auto maybe = peek_frame(*bytes, info_.header.id);
    const auto length = maybe ? padded(maybe->length) : frame_header_bytes;
    scan_.torn_bytes = std::max(scan_.torn_bytes, std::min(at + length, info_.file_bytes) - end);
    // Valid or not: it says nothing about what is missing.
    if (!maybe || (maybe->synced <= end && scan_.end == segment_end::open)) return {};
    bytes = window_.at(at, maybe->length, info_.file_bytes);
    if (!bytes) return bytes.status();
    if (!check_frame(*bytes, info_.header.id, at)) return {};
    return damaged(info_.path, end,
                   fmt::format("a damaged frame: the frame at {} says that everything below {} was "
                               "on disk before it",
                               at, maybe->synced));
  }

  segment_scan& scan_;
  segment_info& info_;
  file_window& window_;
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

bool may_be_damage(const op_status& mismatch) noexcept {
  return mismatch.code() == op_code::version_mismatch &&
         mismatch.message().find("or its header is damaged") != std::string::npos;
}

op_result<segment_scan> salvage_segment(file_system& files, const std::string& path,
                                        const universe_id& universe, std::uint64_t generation,
                                        std::vector<std::string>& findings) {
  auto f = files.open(path, open_mode::read);
  if (!f) return f.status();
  auto size = (*f)->size();
  if (!size) return size.status();
  file_window window{std::move(*f)};
  auto bytes = window.at(0, *size, *size);
  if (!bytes) return bytes.status();
  const auto name = parse_segment_file_name(std::string_view{path}.substr(path.rfind('/') + 1));
  auto header = decode_segment_header(*bytes);
  if (header.code() == op_code::version_mismatch && !may_be_damage(header.status()))
    return op_status{header.code(), fmt::format("{}: {}", path, header.status().message())};
  if (!header) {
    findings.push_back(fmt::format("{}: at 0: {}", path, header.status().message()));
    if (!name || bytes->size() < segment_header_bytes + frame_header_bytes)
      return damaged(path, 0, "no frame of it can be found without its header");
    segment_header made;
    made.universe = universe;
    made.generation = generation;
    made.start = name->start;
    made.stream = name->stream;
    made.sequence = name->sequence;
    made.id = load_le<std::uint64_t>(bytes->data() + segment_header_bytes);
    made.file_bytes = *size;
    // A frame's checksum covers the id: one valid frame shows that it is right.
    if (made.id == 0 ||
        !check_frame(bytes->substr(segment_header_bytes), made.id, segment_header_bytes))
      return damaged(path, 0, "no frame of it can be found without its header");
    header = made;
  }
  if (header->universe != universe || header->generation != generation)
    return damaged(path, 0, "it belongs to another universe or generation");
  if (header->file_bytes != 0 && header->file_bytes != *size)
    findings.push_back(fmt::format("{}: at {}: it has {} bytes, and had {} when it was made", path,
                                   std::min(*size, header->file_bytes), *size, header->file_bytes));
  if (name && *name != segment_name{header->start, header->stream, header->sequence})
    findings.push_back(
        fmt::format("{}: at 0: its header says it is {}", path,
                    segment_file_name({header->start, header->stream, header->sequence})));

  segment_scan scan;
  scan.info = std::make_shared<segment_info>();
  scan.info->path = path;
  scan.info->header = *header;
  scan.info->file_bytes = *size;
  file_window nothing;
  if (auto s = scanner{scan, nothing}.walk_over_holes(*bytes); !s.ok()) return s;
  for (const auto& hole : scan.info->holes)
    findings.push_back(
        fmt::format("{}: at {}: {} bytes cannot be read", path, hole.begin, hole.end - hole.begin));
  return scan;
}

op_result<segment_scan> scan_segment(file_system& files, const std::string& path,
                                     const universe_id& universe, std::uint64_t generation,
                                     bool whole) {
  auto f = files.open(path, open_mode::read);
  if (!f) return f.status();
  auto size = (*f)->size();
  if (!size) return size.status();
  file_window window{std::move(*f)};
  auto front = window.at(0, segment_header_bytes, *size);
  if (!front) return front.status();
  auto header = decode_segment_header(*front);
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
  if (whole && header->file_bytes != 0 && *size != header->file_bytes)
    return damaged(
        path, std::min(*size, header->file_bytes),
        fmt::format("it has {} bytes, and had {} when it was made", *size, header->file_bytes));

  segment_scan scan;
  scan.info = std::make_shared<segment_info>();
  scan.info->path = path;
  scan.info->header = *header;
  scan.info->file_bytes = *size;
  if (auto s = scanner{scan, window}.walk(); !s.ok()) return s;
  return scan;
}

} // namespace warp::storage
