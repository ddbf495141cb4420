#include "storage/backup_manifest.hpp"

#include "messages/limits.hpp"
#include "storage/checked_text.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <iterator>
#include <tuple>

namespace warp::storage {

namespace {

constexpr text_kind kind{"warpengine-backup ", "the manifest of a backup", backup_manifest_version};

template <class Out>
void write_object(Out out, const backup_object& o) {
  fmt::format_to(out, " object={} object_bytes={} raw_bytes={} checksum={:08x}\n", o.name, o.bytes,
                 o.raw_bytes, o.checksum);
}

bool read_object(text_reader& in, backup_object& o) {
  if (!in.skip(" object=")) return false;
  o.name = in.take_until(" \n");
  std::uint64_t checksum = 0;
  const bool ok = in.skip(" object_bytes=") && in.number(o.bytes) && in.skip(" raw_bytes=") &&
                  in.number(o.raw_bytes) && in.skip(" checksum=") && in.number(checksum, 16, 8) &&
                  in.skip("\n");
  o.checksum = static_cast<std::uint32_t>(checksum);
  return ok && is_backup_name(o.name);
}

bool read_checkpoint(text_reader& in, backup_checkpoint& c) {
  auto& i = c.info;
  return in.skip(" sequence=") && in.number(i.sequence) && in.skip(" start_lsn=") &&
         in.number(i.start_lsn) && in.skip(" start_epoch=") && in.number(i.start_epoch) &&
         in.skip(" end_lsn=") && in.number(i.end_lsn) && in.skip(" end_epoch=") &&
         in.number(i.end_epoch) && in.skip(" reserved_lsn=") && in.number(i.reserved_lsn) &&
         in.skip(" records=") && in.number(i.records) && in.skip(" bytes=") && in.number(i.bytes) &&
         in.skip(" created_at_ms=") && in.number(i.created_at_ms) && read_object(in, c.object) &&
         i.sequence != 0 && i.end_lsn >= i.start_lsn && c.object.raw_bytes == i.bytes;
}

bool read_piece(text_reader& in, backup_piece& p) {
  std::uint64_t stream = 0, closed = 0;
  const bool ok = in.skip("log start=") && in.number(p.segment.start) && in.skip(" stream=") &&
                  in.number(stream) && in.skip(" sequence=") && in.number(p.segment.sequence) &&
                  in.skip(" id=") && in.number(p.id, 16) && in.skip(" from=") &&
                  in.number(p.from) && in.skip(" to=") && in.number(p.to) && in.skip(" closed=") &&
                  in.number(closed) && read_object(in, p.object);
  if (!ok || stream > 0xffff'ffffu || closed > 1 || p.from >= p.to ||
      p.object.raw_bytes != p.to - p.from)
    return false;
  p.segment.stream = static_cast<std::uint32_t>(stream);
  p.closed = closed == 1;
  return true;
}

/// A piece either goes on where the one before it ended, or begins a later segment.
bool fits_behind(const backup_piece& before, const backup_piece& p) {
  if (before.segment == p.segment)
    return before.id == p.id && before.to == p.from && !before.closed;
  return log_order(before.segment, p.segment) && p.from == 0;
}

} // namespace

bool is_backup_name(std::string_view text) noexcept {
  const auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.';
  };
  return !text.empty() && text.size() <= 128 && text.front() != '.' &&
         std::all_of(text.begin(), text.end(), fits);
}

bool log_order(const segment_name& a, const segment_name& b) noexcept {
  return std::tie(a.start, a.sequence, a.stream) < std::tie(b.start, b.sequence, b.stream);
}

std::vector<const backup_object*> backup_manifest::objects() const {
  std::vector<const backup_object*> all;
  for (const auto& shard : shards)
    if (shard.checkpoint) all.push_back(&shard.checkpoint->object);
  for (const auto& piece : log) all.push_back(&piece.object);
  return all;
}

std::uint64_t backup_manifest::bytes() const noexcept {
  std::uint64_t sum = 0;
  for (const auto& shard : shards)
    if (shard.checkpoint) sum += shard.checkpoint->object.bytes;
  for (const auto& piece : log) sum += piece.object.bytes;
  return sum;
}

std::string encode_backup_manifest(const backup_manifest& m) {
  std::string text;
  auto out = std::back_inserter(text);
  fmt::format_to(out,
                 "{}{}\nname {}\nuniverse {}\ngeneration {:016x}\nbase_us {}\ntaken_us {}\n"
                 "follows {}\n{}new_bytes {}\nshards {}\n",
                 kind.first_word, kind.format_version, m.name, to_string(m.universe), m.generation,
                 m.base_us, m.taken_us, m.follows.empty() ? "-" : m.follows,
                 m.anew.empty() ? std::string{} : fmt::format("anew {}\n", m.anew), m.new_bytes,
                 m.shards.size());
  for (std::size_t i = 0; i < m.shards.size(); ++i) {
    const auto& s = m.shards[i];
    fmt::format_to(out, "shard {} last={} reserved={}\n", i, s.last, s.reserved);
    if (!s.checkpoint) continue;
    const auto& c = s.checkpoint->info;
    fmt::format_to(out,
                   "checkpoint sequence={} start_lsn={} start_epoch={} end_lsn={} end_epoch={} "
                   "reserved_lsn={} records={} bytes={} created_at_ms={}",
                   c.sequence, c.start_lsn, c.start_epoch, c.end_lsn, c.end_epoch, c.reserved_lsn,
                   c.records, c.bytes, c.created_at_ms);
    write_object(out, s.checkpoint->object);
  }
  for (const auto& p : m.log) {
    fmt::format_to(out, "log start={} stream={} sequence={} id={:016x} from={} to={} closed={}",
                   p.segment.start, p.segment.stream, p.segment.sequence, p.id, p.from, p.to,
                   p.closed ? 1 : 0);
    write_object(out, p.object);
  }
  return seal_text(std::move(text));
}

op_result<backup_manifest> decode_backup_manifest(std::string_view bytes, std::string_view path,
                                                  std::string_view name) {
  const auto damaged = [&](std::size_t offset, std::string_view cause) {
    return op_status{op_code::corruption, fmt::format("{}: offset {}: {}", path, offset, cause)};
  };
  auto opened = open_text(bytes, path, kind);
  if (!opened) return opened.status();
  auto& in = opened->reader;
  backup_manifest m;
  std::uint64_t shards = 0;
  const auto read_head = [&] {
    if (!in.skip("name ")) return false;
    m.name = in.take_until("\n");
    if (!in.skip("\nuniverse ")) return false;
    const auto universe = parse_universe_id(in.take(32));
    if (!universe) return false;
    m.universe = *universe;
    if (!in.skip("\ngeneration ") || !in.number(m.generation, 16) || !in.skip("\nbase_us ") ||
        !in.number(m.base_us) || !in.skip("\ntaken_us ") || !in.number(m.taken_us) ||
        !in.skip("\nfollows "))
      return false;
    m.follows = in.take_until("\n");
    if (!in.skip("\n")) return false;
    if (opened->format_version >= 2 && in.skip("anew ")) {
      m.anew = in.take_until("\n");
      if (m.anew.empty() || !in.skip("\n")) return false;
    }
    return in.skip("new_bytes ") && in.number(m.new_bytes) && in.skip("\nshards ") &&
           in.number(shards) && in.skip("\n");
  };
  if (!read_head()) return damaged(in.offset(), "not what a backup's manifest has here");
  if (m.name != name)
    return damaged(in.offset(), fmt::format("this is backup '{}', not '{}'", m.name, name));
  if (m.follows == "-") m.follows.clear();
  if (!m.follows.empty() && !is_backup_name(m.follows))
    return damaged(in.offset(), "it follows a backup of an impossible name");
  if (!m.follows.empty() && !m.anew.empty())
    return damaged(in.offset(), "it follows a backup and says why it follows none");
  if (!std::has_single_bit(shards) || shards > shard_count_max)
    return damaged(in.offset(), fmt::format("{} shards", shards));
  for (std::uint32_t i = 0; i < shards; ++i) {
    backup_shard s;
    std::uint64_t number = 0;
    if (!in.skip("shard ") || !in.number(number) || number != i || !in.skip(" last=") ||
        !in.number(s.last) || !in.skip(" reserved=") || !in.number(s.reserved) || !in.skip("\n"))
      return damaged(in.offset(), fmt::format("not the line of shard {}", i));
    if (in.skip("checkpoint")) {
      s.checkpoint.emplace();
      s.checkpoint->info.shard = shard_id{i};
      if (!read_checkpoint(in, *s.checkpoint))
        return damaged(in.offset(), "not what a checkpoint line has here");
    }
    m.shards.push_back(std::move(s));
  }
  while (!in.at_end()) {
    backup_piece p;
    if (!read_piece(in, p)) return damaged(in.offset(), "not what a log line has here");
    if (m.log.empty() ? p.from != 0 : !fits_behind(m.log.back(), p))
      return damaged(in.offset(), "a piece of the log that does not follow the one before it");
    m.log.push_back(std::move(p));
  }
  return m;
}

} // namespace warp::storage
