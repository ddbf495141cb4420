#include "storage/wal_format.hpp"

#include "storage/byte_order.hpp"
#include "storage/crc32c.hpp"
#include "storage/planted.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <fmt/format.h>

namespace warp::storage {

namespace {

// Offsets in a segment header.
namespace in_segment {
constexpr std::size_t version = 8, stream = 12, universe = 16, generation = 32, id = 40, start = 48,
                      sequence = 56, flags = 64, file_bytes = 68, crc = 76;
static_assert(crc + 4 == segment_header_bytes);
} // namespace in_segment
constexpr std::uint32_t segment_after_failure = 1;

// Offsets in a frame header.
namespace in_frame {
constexpr std::size_t segment = 0, crc = 8, length = 12, kind = 16, flags = 18, shard = 20,
                      epoch = 24, previous = 32, first = 40, last = 48, reserved = 56,
                      timestamp = 64, synced = 72, count = 80, uncommitted = 84;
static_assert(uncommitted + 4 == frame_header_bytes);
static_assert(frame_header_bytes % frame_alignment == 0 &&
              segment_header_bytes % frame_alignment == 0);
} // namespace in_frame

bool plausible(const frame_header& f) noexcept {
  if (f.length < frame_header_bytes || f.length > frame_bytes_max) return false;
  const auto body = f.length - frame_header_bytes;
  switch (f.kind) {
  case frame_kind::records:
    if (f.last > lsn_max || f.reserved > lsn_max || f.flags > (frame_has_parts | frame_cuts))
      return false;
    if (f.count == 0) return body == 0 && f.first == f.previous && f.last == f.previous;
    // The first byte of a record at least, and each has an LSN of its own.
    return f.previous < f.first && f.first <= f.last && f.count <= f.last - f.first + 1 &&
           f.count <= body;
  case frame_kind::state:
  case frame_kind::seal:
  case frame_kind::end:
    return body == std::uint64_t{f.count} * table_entry_bytes;
  case frame_kind::idle:
    return body == 0 && f.count == 0;
  }
  return false;
}

} // namespace

void encode(const segment_header& header, char* to) noexcept {
  std::memcpy(to, wal_magic.data(), wal_magic.size());
  store_le<std::uint32_t>(to + in_segment::version, header.version);
  store_le<std::uint32_t>(to + in_segment::stream, header.stream);
  std::memcpy(to + in_segment::universe, header.universe.bytes.data(),
              header.universe.bytes.size());
  store_le<std::uint64_t>(to + in_segment::generation, header.generation);
  store_le<std::uint64_t>(to + in_segment::id, header.id);
  store_le<std::uint64_t>(to + in_segment::start, header.start);
  store_le<std::uint64_t>(to + in_segment::sequence, header.sequence);
  store_le<std::uint32_t>(to + in_segment::flags,
                          header.after_failure ? segment_after_failure : 0u);
  store_le<std::uint64_t>(to + in_segment::file_bytes, header.file_bytes);
  store_le<std::uint32_t>(to + in_segment::crc, crc32c({to, in_segment::crc}));
}

op_result<segment_header> decode_segment_header(std::string_view bytes) {
  if (bytes.size() < segment_header_bytes)
    return op_status{op_code::corruption,
                     fmt::format("a log segment of {} bytes: its header is cut off", bytes.size())};
  const char* at = bytes.data();
  if (bytes.substr(0, wal_magic.size()) != wal_magic)
    return op_status{op_code::corruption, "not a log segment: it does not begin with WARPWAL"};
  // The version comes before the checksum: a later version may keep it elsewhere.
  segment_header header;
  header.version = load_le<std::uint32_t>(at + in_segment::version);
  const auto crc = load_le<std::uint32_t>(at + in_segment::crc);
  const auto found = crc32c({at, in_segment::crc});
  if (header.version > wal_format_version && crc != found)
    return op_status{
        op_code::version_mismatch,
        fmt::format(
            "a log segment of format version {} (this program knows {}), or its header is damaged",
            header.version, wal_format_version)};
  if (crc != found)
    return op_status{op_code::corruption,
                     fmt::format("the header's checksum is {:08x} instead of {:08x}", found, crc)};
  if (header.version == 0 || header.version > wal_format_version)
    return op_status{op_code::version_mismatch,
                     fmt::format("a log segment of format version {}; this program knows {}",
                                 header.version, wal_format_version)};
  header.stream = load_le<std::uint32_t>(at + in_segment::stream);
  std::memcpy(header.universe.bytes.data(), at + in_segment::universe,
              header.universe.bytes.size());
  header.generation = load_le<std::uint64_t>(at + in_segment::generation);
  header.id = load_le<std::uint64_t>(at + in_segment::id);
  header.start = load_le<std::uint64_t>(at + in_segment::start);
  header.sequence = load_le<std::uint64_t>(at + in_segment::sequence);
  header.after_failure =
      (load_le<std::uint32_t>(at + in_segment::flags) & segment_after_failure) != 0;
  header.file_bytes = load_le<std::uint64_t>(at + in_segment::file_bytes);
  return header;
}

void encode(const frame_header& header, char* to) noexcept {
  store_le<std::uint64_t>(to + in_frame::segment, header.segment);
  store_le<std::uint32_t>(to + in_frame::crc, 0);
  store_le<std::uint32_t>(to + in_frame::length, header.length);
  store_le<std::uint16_t>(to + in_frame::kind, static_cast<std::uint16_t>(header.kind));
  store_le<std::uint16_t>(to + in_frame::flags, header.flags);
  store_le<std::uint32_t>(to + in_frame::shard, header.shard.value);
  store_le<std::uint64_t>(to + in_frame::epoch, header.epoch);
  store_le<std::uint64_t>(to + in_frame::previous, header.previous);
  store_le<std::uint64_t>(to + in_frame::first, header.first);
  store_le<std::uint64_t>(to + in_frame::last, header.last);
  store_le<std::uint64_t>(to + in_frame::reserved, header.reserved);
  store_le<std::uint64_t>(to + in_frame::timestamp, header.timestamp_us);
  store_le<std::uint64_t>(to + in_frame::synced, header.synced);
  store_le<std::uint32_t>(to + in_frame::count, header.count);
  store_le<std::uint32_t>(to + in_frame::uncommitted, header.uncommitted);
}

std::uint32_t frame_crc_begin(const char* header, std::uint64_t offset) noexcept {
  char where[sizeof offset];
  store_le<std::uint64_t>(where, offset);
  return crc32c({header + in_frame::length, frame_header_bytes - in_frame::length},
                crc32c({header, in_frame::crc}, crc32c({where, sizeof where})));
}

void set_frame_crc(char* header, std::uint32_t crc) noexcept {
  store_le<std::uint32_t>(header + in_frame::crc, crc);
}

std::optional<frame_header> peek_frame(std::string_view bytes, std::uint64_t id) noexcept {
  if (bytes.size() < frame_header_bytes) return {};
  const char* at = bytes.data();
  frame_header f;
  f.segment = load_le<std::uint64_t>(at + in_frame::segment);
  if (f.segment != id) return {};
  f.length = load_le<std::uint32_t>(at + in_frame::length);
  f.kind = static_cast<frame_kind>(load_le<std::uint16_t>(at + in_frame::kind));
  f.flags = load_le<std::uint16_t>(at + in_frame::flags);
  f.shard = shard_id{load_le<std::uint32_t>(at + in_frame::shard)};
  f.epoch = load_le<std::uint64_t>(at + in_frame::epoch);
  f.previous = load_le<std::uint64_t>(at + in_frame::previous);
  f.first = load_le<std::uint64_t>(at + in_frame::first);
  f.last = load_le<std::uint64_t>(at + in_frame::last);
  f.reserved = load_le<std::uint64_t>(at + in_frame::reserved);
  f.timestamp_us = load_le<std::uint64_t>(at + in_frame::timestamp);
  f.synced = load_le<std::uint64_t>(at + in_frame::synced);
  f.count = load_le<std::uint32_t>(at + in_frame::count);
  f.uncommitted = load_le<std::uint32_t>(at + in_frame::uncommitted);
  if (!plausible(f)) return {};
  return f;
}

std::optional<frame_header> check_frame(std::string_view bytes, std::uint64_t id,
                                        std::uint64_t offset) noexcept {
  auto f = peek_frame(bytes, id);
  if (!f || f->length > bytes.size() || f->synced > offset) return {};
  const auto crc = crc32c(bytes.substr(frame_header_bytes, f->length - frame_header_bytes),
                          frame_crc_begin(bytes.data(), offset));
  if (crc != load_le<std::uint32_t>(bytes.data() + in_frame::crc) &&
      !planted(mistake::no_frame_checksum))
    return {};
  return f;
}

void encode(const table_entry& entry, char* to) noexcept {
  to = store_le<std::uint32_t>(to, entry.shard.value);
  to = store_le<std::uint32_t>(to, 0);
  to = store_le<std::uint64_t>(to, entry.epoch);
  to = store_le<std::uint64_t>(to, entry.a);
  store_le<std::uint64_t>(to, entry.b);
}

std::optional<std::vector<table_entry>> decode_table(const frame_header& header,
                                                     std::string_view body) {
  if (body.size() != std::uint64_t{header.count} * table_entry_bytes) return {};
  std::vector<table_entry> entries(header.count);
  for (auto& e : entries) {
    const char* at = body.data();
    e = {shard_id{load_le<std::uint32_t>(at)}, load_le<std::uint64_t>(at + 8),
         load_le<std::uint64_t>(at + 16), load_le<std::uint64_t>(at + 24)};
    if (e.a > lsn_max || e.b > lsn_max + 1) return {};
    body.remove_prefix(table_entry_bytes);
  }
  return entries;
}

std::string segment_file_name(segment_name name) {
  return fmt::format("{:010}-{:04}-{:012}.wal", name.start, name.stream, name.sequence);
}

std::optional<segment_name> parse_segment_file_name(std::string_view text) noexcept {
  segment_name name;
  const auto number = [&](auto& value, char end, std::size_t digits) {
    const auto at = text.find(end);
    if (at == text.npos || at < digits) return false;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + at, value);
    if (error != std::errc{} || stop != text.data() + at) return false;
    text.remove_prefix(at + 1);
    return true;
  };
  if (!number(name.start, '-', 10) || !number(name.stream, '-', 4) ||
      !number(name.sequence, '.', 12) || text != "wal")
    return {};
  return name;
}

} // namespace warp::storage
