#include "storage/checked_text.hpp"

#include "storage/crc32c.hpp"

#include <fmt/format.h>

namespace warp::storage {

namespace {

constexpr std::string_view crc_word = "crc32c ";
constexpr std::size_t crc_line_bytes = crc_word.size() + 8 + 1;

} // namespace

std::string seal_text(std::string text) {
  const auto crc = crc32c(text);
  return std::move(text) + fmt::format("{}{:08x}\n", crc_word, crc);
}

op_result<opened_text> open_text(std::string_view bytes, std::string_view path,
                                 const text_kind& kind) {
  const auto damaged = [&](std::size_t offset, std::string_view cause) {
    return op_status{op_code::corruption, fmt::format("{}: offset {}: {}", path, offset, cause)};
  };
  const auto foreign = [&] {
    return op_status{
        op_code::invalid_argument,
        fmt::format("{} is not {}: it does not begin with '{}'", path, kind.name, kind.first_word)};
  };
  const auto crc_at = bytes.size() < crc_line_bytes ? 0 : bytes.size() - crc_line_bytes;
  const auto crc_line = bytes.substr(crc_at);
  const auto body = bytes.substr(0, crc_at);
  const auto expected = fmt::format("{}{:08x}\n", crc_word, crc32c(body));
  if (crc_line != expected) {
    if (!bytes.starts_with(kind.first_word) && !crc_line.starts_with(crc_word)) return foreign();
    if (!crc_line.starts_with(crc_word))
      return damaged(bytes.size(), "cut off: the last line is not a checksum");
    return damaged(crc_at, fmt::format("checksum line '{}', computed '{}'",
                                       crc_line.substr(0, crc_line.size() - 1),
                                       std::string_view{expected}.substr(0, expected.size() - 1)));
  }
  text_reader in{body};
  std::uint64_t version = 0;
  if (!in.skip(kind.first_word) || !in.number(version) || !in.skip("\n")) return foreign();
  if (version > kind.format_version || version == 0)
    return op_status{
        op_code::version_mismatch,
        fmt::format("{}: written by a newer version (format {}, this program knows up to {})", path,
                    version, kind.format_version)};
  return opened_text{in, version};
}

} // namespace warp::storage
