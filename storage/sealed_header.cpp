#include "storage/sealed_header.hpp"

#include "storage/crc32c.hpp"

#include <fmt/format.h>

namespace warp::storage {

namespace {

constexpr std::size_t magic_bytes = 8;
constexpr std::size_t crc_bytes = 4;

} // namespace

std::string begin_header(const sealed_header& kind) {
  std::string header(kind.bytes, '\0');
  store_le<std::uint32_t>(store_bytes(header.data(), kind.magic), kind.format);
  return header;
}

void seal(const sealed_header& kind, std::string& header) {
  store_le<std::uint32_t>(header.data() + kind.bytes - crc_bytes, sealed_header_crc(kind, header));
}

std::uint32_t sealed_header_crc(const sealed_header& kind, std::string_view header) noexcept {
  return crc32c(header.substr(0, kind.bytes - crc_bytes));
}

op_status check_header(const sealed_header& kind, std::string_view bytes) {
  if (bytes.size() < kind.bytes)
    return corrupt(fmt::format("offset 0: {} bytes are not {}", bytes.size(), kind.name));
  if (bytes.substr(0, magic_bytes) != kind.magic)
    return corrupt(fmt::format("offset 0: does not begin like {}", kind.name));
  const auto crc_at = kind.bytes - crc_bytes;
  const auto stored = load_le<std::uint32_t>(bytes.data() + crc_at);
  if (const auto crc = sealed_header_crc(kind, bytes); crc != stored)
    return corrupt(
        fmt::format("offset {}: header checksum {:08x}, computed {:08x}", crc_at, stored, crc));
  if (const auto format = load_le<std::uint32_t>(bytes.data() + magic_bytes);
      format == 0 || format > kind.format)
    return {op_code::version_mismatch,
            fmt::format("written by a newer version (format {}, this program knows up to {})",
                        format, kind.format)};
  return {};
}

} // namespace warp::storage
