#include "storage/manifest.hpp"

#include "messages/limits.hpp"
#include "storage/checked_text.hpp"
#include "storage/path.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <iterator>
#include <utility>

namespace warp::storage {

namespace {

constexpr std::string_view first_word = "warpengine-manifest ";
constexpr text_kind kind{first_word, "a WarpEngine manifest", manifest_format_version};
/// More than any manifest has: 16,384 shards with 64 checkpoints of 250 bytes.
constexpr std::uint64_t manifest_bytes_max = 256u << 20;

bool read_checkpoint(text_reader& in, checkpoint_info& info) {
  std::uint64_t shard = 0;
  const bool ok = in.skip("checkpoint shard=") && in.number(shard) && in.skip(" sequence=") &&
                  in.number(info.sequence) && in.skip(" start_lsn=") && in.number(info.start_lsn) &&
                  in.skip(" start_epoch=") && in.number(info.start_epoch) && in.skip(" end_lsn=") &&
                  in.number(info.end_lsn) && in.skip(" end_epoch=") && in.number(info.end_epoch) &&
                  in.skip(" reserved_lsn=") && in.number(info.reserved_lsn) &&
                  in.skip(" records=") && in.number(info.records) && in.skip(" bytes=") &&
                  in.number(info.bytes) && in.skip(" created_at_ms=") &&
                  in.number(info.created_at_ms) && in.skip("\n");
  if (!ok || shard >= shard_count_max) return false;
  info.shard = shard_id{static_cast<std::uint32_t>(shard)};
  return true;
}

} // namespace

std::string encode_manifest(const manifest& m) {
  std::string text;
  auto out = std::back_inserter(text);
  fmt::format_to(out,
                 "{}{}\nuniverse {}\ngeneration {:016x}\nshards {}\nstarts {}\n"
                 "log start={} reaches={}\n",
                 first_word, manifest_format_version, to_string(m.universe), m.generation,
                 m.shard_count(), m.starts, m.log_start, m.log_reaches);
  for (const auto& shard : m.checkpoints)
    for (const auto& c : shard)
      fmt::format_to(out,
                     "checkpoint shard={} sequence={} start_lsn={} start_epoch={} end_lsn={} "
                     "end_epoch={} reserved_lsn={} records={} bytes={} created_at_ms={}\n",
                     c.shard.value, c.sequence, c.start_lsn, c.start_epoch, c.end_lsn, c.end_epoch,
                     c.reserved_lsn, c.records, c.bytes, c.created_at_ms);
  return seal_text(std::move(text));
}

op_result<manifest> decode_manifest(std::string_view bytes, std::string_view path) {
  const auto damaged = [&](std::size_t offset, std::string_view cause) {
    return op_status{op_code::corruption, fmt::format("{}: offset {}: {}", path, offset, cause)};
  };
  auto opened = open_text(bytes, path, kind);
  if (!opened) return opened.status();
  auto& in = opened->reader;
  manifest m;
  if (!in.skip("universe ")) return damaged(in.offset(), "expected 'universe'");
  const auto universe = parse_universe_id(in.take(32));
  std::uint64_t shards = 0;
  if (!universe || !in.skip("\ngeneration ") || !in.number(m.generation, 16) ||
      !in.skip("\nshards ") || !in.number(shards) || !in.skip("\nstarts ") ||
      !in.number(m.starts) || !in.skip("\n"))
    return damaged(in.offset(), "not what a manifest has here");
  if (opened->format_version >= 2 &&
      (!in.skip("log start=") || !in.number(m.log_start) || !in.skip(" reaches=") ||
       !in.number(m.log_reaches) || !in.skip("\n")))
    return damaged(in.offset(), "not what the line of the log has here");
  if (m.log_start > m.starts)
    return damaged(in.offset(), fmt::format("the log of start {} of {}", m.log_start, m.starts));
  m.universe = *universe;
  if (!std::has_single_bit(shards) || shards > shard_count_max)
    return damaged(in.offset(), fmt::format("{} shards", shards));
  m.checkpoints.resize(shards);
  while (!in.at_end()) {
    const auto line_at = in.offset();
    checkpoint_info info;
    if (!read_checkpoint(in, info))
      return damaged(in.offset(), "not what a checkpoint line has here");
    if (info.shard.value >= shards)
      return damaged(line_at, fmt::format("shard {} of {}", info.shard.value, shards));
    auto& known = m.checkpoints[info.shard.value];
    if (info.sequence == 0 || (!known.empty() && known.back().sequence <= info.sequence) ||
        info.end_lsn < info.start_lsn)
      return damaged(line_at, fmt::format("checkpoint {} of shard {} is out of order",
                                          info.sequence, info.shard.value));
    known.push_back(info);
  }
  return m;
}

op_result<manifest> load_manifest(file_system& files, const std::string& folder) {
  const auto path = join_path(folder, manifest_file_name);
  auto in = files.open(path, open_mode::read);
  if (!in.ok()) return in.status();
  auto size = (*in)->size();
  if (!size.ok()) return size.status();
  if (*size > manifest_bytes_max)
    return op_status{op_code::corruption, fmt::format("{}: {} bytes are no manifest", path, *size)};
  std::string bytes(*size, '\0');
  auto count = (*in)->read_at(0, bytes);
  if (!count.ok()) return count.status();
  bytes.resize(*count);
  return decode_manifest(bytes, path);
}

op_status save_manifest(file_system& files, const std::string& folder, const manifest& m) {
  const auto path = join_path(folder, manifest_file_name);
  const auto temporary = path + std::string{temporary_suffix};
  if (auto status = files.remove(temporary); !status.ok() && status.code() != op_code::not_found)
    return status;
  {
    auto out = files.open(temporary, open_mode::create);
    if (!out.ok()) return out.status();
    if (auto status = (*out)->write_at(0, encode_manifest(m)); !status.ok()) return status;
    if (auto status = (*out)->sync(); !status.ok()) return status;
  }
  if (auto status = files.rename(temporary, path); !status.ok()) return status;
  return files.sync_folder(folder);
}

} // namespace warp::storage
