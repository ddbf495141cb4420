#include "cluster/log_dump.hpp"

#include "storage/data_folder.hpp"
#include "storage/log_record.hpp"
#include "storage/manifest.hpp"
#include "storage/path.hpp"
#include "storage/wal_format.hpp"
#include "storage/wal_reader.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <memory>
#include <vector>

namespace warp::cluster {

namespace {

using namespace storage;

/// A window on a file: hands out stretches of it and reads ahead.
class file_window {
public:
  explicit file_window(file& f) : file_(f) {}

  /// The bytes from `offset` on, at least `need` of them where the file has so many.
  op_result<std::string_view> at(std::uint64_t offset, std::size_t need) {
    if (offset < begin_ || offset + need > begin_ + size_) {
      buffer_.resize(std::max(need, ahead_bytes));
      auto n = file_.read_at(offset, buffer_);
      if (!n) return n.status();
      begin_ = offset;
      size_ = *n;
    }
    return std::string_view(buffer_.data(), size_).substr(offset - begin_);
  }

private:
  static constexpr std::size_t ahead_bytes = 1 << 20;
  file& file_;
  std::vector<char> buffer_;
  std::uint64_t begin_ = 0;
  std::size_t size_ = 0;
};

std::string_view name_of(log_op op) {
  switch (op) {
  case log_op::nothing:
    return "nothing";
  case log_op::put:
    return "put";
  case log_op::erase:
    return "erase";
  case log_op::meta:
    return "expire";
  case log_op::parts:
    return "parts";
  case log_op::fields_set:
    return "fields set";
  case log_op::fields_erased:
    return "fields erased";
  case log_op::clear:
    return "clear";
  case log_op::together: // told change by change
    break;
  }
  return "unknown";
}

op_result<log_frame_summary> summarize(const frame_header& header, std::string_view bytes,
                                       const log_selection& wanted) {
  log_frame_summary frame{.epoch = header.epoch,
                          .previous_lsn = header.previous,
                          .first_lsn = header.first,
                          .last_lsn = header.last,
                          .timestamp_us = header.timestamp_us,
                          .bytes = header.length};
  auto left = bytes.substr(frame_header_bytes, header.length - frame_header_bytes);
  lsn_t lsn = header.first - 1;
  while (!left.empty()) {
    log_record record;
    if (!decode_record(left, lsn, record))
      return op_status(op_code::corruption,
                       fmt::format("a record behind LSN {} cannot be read", lsn));
    if (record.op == log_op::parts || lsn > wanted.up_to) continue;
    op_status status;
    each_change(record, [&](log_record& change) {
      if (status.ok()) status = expand(change);
      if (!status.ok()) return;
      frame.records.push_back(
          {.lsn = lsn,
           .operation = std::string(name_of(change.op)),
           .key = std::string(change.key),
           .value = wanted.with_values ? std::string(change.payload()) : std::string(),
           .value_bytes = change.payload().size(),
           .expires_at_ms = change.meta.expires_at_ms,
           .request = change.request});
    });
    if (!status.ok()) return status;
  }
  return frame;
}

bool is_wanted(const frame_header& header, const log_selection& wanted) {
  return header.kind == frame_kind::records && header.count > 0 &&
         (!wanted.shard || *wanted.shard == header.shard) && header.last >= wanted.from &&
         header.first <= wanted.up_to;
}

/// False: the visitor has had enough.
op_result<bool>
read_segment(file_system& files, const std::string& path, const log_selection& wanted,
             const std::function<bool(const log_place&, const log_frame_summary&)>& visit) {
  auto opened = files.open(path, open_mode::read);
  if (!opened) {
    // A server beside us lets old segments go.
    if (opened.code() == op_code::not_found) return true;
    return opened.status();
  }
  file_window window(**opened);
  auto bytes = window.at(0, segment_header_bytes);
  if (!bytes) return bytes.status();
  if (bytes->size() < segment_header_bytes) return true; // being made
  const auto segment = decode_segment_header(bytes->substr(0, segment_header_bytes));
  if (!segment)
    return op_status(segment.code(), fmt::format("{}: {}", path, segment.status().message()));

  std::uint64_t synced = 0; // a later frame has said so: what is damaged below is no torn tail
  for (std::uint64_t offset = segment_header_bytes;;) {
    bytes = window.at(offset, frame_header_bytes);
    if (!bytes) return bytes.status();
    auto header = peek_frame(*bytes, segment->id);
    if (!header) return true;
    synced = std::max(synced, header->synced);
    if (is_wanted(*header, wanted)) {
      bytes = window.at(offset, padded(header->length));
      if (!bytes) return bytes.status();
      if (!check_frame(*bytes, segment->id, offset)) {
        if (offset >= synced) return true;
        return op_status(op_code::corruption,
                         fmt::format("{} at offset {}: a frame of shard {} is damaged", path,
                                     offset, header->shard.value));
      }
      const auto frame = summarize(*header, *bytes, wanted);
      if (!frame)
        return op_status(frame.code(), fmt::format("{} at offset {}: {}", path, offset,
                                                   frame.status().message()));
      const log_place place{header->shard, path, offset, segment->stream,
                            (header->flags & frame_cuts) != 0};
      if (!frame->records.empty() && !visit(place, *frame)) return false;
    }
    offset += padded(header->length);
  }
}

} // namespace

op_status read_log(file_system& files, const std::string& folder, const log_selection& selection,
                   const std::function<bool(const log_place&, const log_frame_summary&)>& visit) {
  const auto contents = load_manifest(files, folder);
  if (!contents) {
    if (contents.code() == op_code::not_found)
      return {op_code::not_found,
              fmt::format("{} is no data folder: it has no {}", folder, manifest_file_name)};
    return contents.status();
  }
  if (selection.shard && selection.shard->value >= contents->shard_count())
    return {op_code::invalid_argument,
            fmt::format("there is no shard {}: {} has the shards 0 to {}", selection.shard->value,
                        folder, contents->shard_count() - 1)};
  const auto segments = list_segments(files, join_path(folder, wal_folder_name));
  if (!segments) return segments.status();
  for (const auto& path : *segments) {
    const auto more = read_segment(files, path, selection, visit);
    if (!more) return more.status();
    if (!*more) return {};
  }
  return {};
}

op_result<log_page> read_log_page(file_system& files, const std::string& folder,
                                  const log_selection& selection, std::size_t limit) {
  log_page page;
  std::size_t records = 0;
  auto status =
      read_log(files, folder, selection, [&](const log_place&, const log_frame_summary& frame) {
        if (records >= limit) {
          page.next_lsn = frame.first_lsn;
          return false;
        }
        records += frame.records.size();
        page.frames.push_back(frame);
        return true;
      });
  if (!status.ok()) return status;
  return page;
}

} // namespace warp::cluster
