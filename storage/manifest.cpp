#include "storage/manifest.hpp"

#include "messages/limits.hpp"
#include "storage/crc32c.hpp"
#include "storage/path.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <iterator>

namespace warp::storage {

namespace {

constexpr std::string_view first_word = "warpengine-manifest ";
constexpr std::string_view crc_word = "crc32c ";
constexpr std::size_t crc_line_bytes = crc_word.size() + 8 + 1;
/// More than any manifest has: 16,384 shards with 64 checkpoints of 250 bytes.
constexpr std::uint64_t manifest_bytes_max = 256u << 20;

/// Takes a text apart from left to right. After the first surprise everything fails.
class text_reader {
public:
  explicit text_reader(std::string_view text) : text_(text) {}

  [[nodiscard]] bool at_end() const { return at_ == text_.size(); }
  [[nodiscard]] std::size_t offset() const { return at_; }
  [[nodiscard]] bool sees(std::string_view word) const {
    return text_.substr(at_).starts_with(word);
  }
  bool skip(std::string_view word) {
    if (!sees(word)) return false;
    at_ += word.size();
    return true;
  }
  /// A number as encode_manifest() writes it: no sign, no leading zeros (unless base 16, which has
  /// 16 digits).
  bool number(std::uint64_t& value, int base = 10) {
    const char* from = text_.data() + at_;
    const auto [end, error] = std::from_chars(from, text_.data() + text_.size(), value, base);
    const auto size = static_cast<std::size_t>(end - from);
    if (error != std::errc{} || (base == 16 ? size != 16 : size > 1 && *from == '0')) return false;
    at_ += size;
    return true;
  }
  std::string_view take(std::size_t size) {
    const auto word = text_.substr(at_, size);
    at_ += word.size();
    return word;
  }

private:
  std::string_view text_;
  std::size_t at_ = 0;
};

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
  const auto crc = crc32c(text);
  fmt::format_to(out, "{}{:08x}\n", crc_word, crc);
  return text;
}

op_result<manifest> decode_manifest(std::string_view bytes, std::string_view path) {
  const auto damaged = [&](std::size_t offset, std::string_view cause) {
    return op_status{op_code::corruption, fmt::format("{}: offset {}: {}", path, offset, cause)};
  };
  // The first line and the last are the same in every format, so that a newer one is told from a
  // damaged one.
  const auto crc_at = bytes.size() < crc_line_bytes ? 0 : bytes.size() - crc_line_bytes;
  const auto crc_line = bytes.substr(crc_at);
  const auto body = bytes.substr(0, crc_at);
  const auto expected = fmt::format("{}{:08x}\n", crc_word, crc32c(body));
  if (crc_line != expected) {
    if (!bytes.starts_with(first_word) && !crc_line.starts_with(crc_word))
      return op_status{op_code::invalid_argument,
                       fmt::format("{} is not a WarpEngine manifest: it does not begin with '{}'",
                                   path, first_word)};
    if (!crc_line.starts_with(crc_word))
      return damaged(bytes.size(), "cut off: the last line is not a checksum");
    return damaged(crc_at, fmt::format("checksum line '{}', computed '{}'",
                                       crc_line.substr(0, crc_line.size() - 1),
                                       std::string_view{expected}.substr(0, expected.size() - 1)));
  }
  text_reader in{body};
  std::uint64_t version = 0;
  if (!in.skip(first_word) || !in.number(version) || !in.skip("\n"))
    return op_status{op_code::invalid_argument,
                     fmt::format("{} is not a WarpEngine manifest: it does not begin with '{}'",
                                 path, first_word)};
  if (version > manifest_format_version || version == 0)
    return op_status{
        op_code::version_mismatch,
        fmt::format("{}: written by a newer version (format {}, this program knows up to {})", path,
                    version, manifest_format_version)};
  manifest m;
  if (!in.skip("universe ")) return damaged(in.offset(), "expected 'universe'");
  const auto universe = parse_universe_id(in.take(32));
  std::uint64_t shards = 0;
  if (!universe || !in.skip("\ngeneration ") || !in.number(m.generation, 16) ||
      !in.skip("\nshards ") || !in.number(shards) || !in.skip("\nstarts ") ||
      !in.number(m.starts) || !in.skip("\n"))
    return damaged(in.offset(), "not what a manifest has here");
  if (version >= 2 && (!in.skip("log start=") || !in.number(m.log_start) || !in.skip(" reaches=") ||
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
