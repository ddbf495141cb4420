#include "storage/slot.hpp"

#include <array>
#include <cstddef>

namespace warp::storage {

namespace {

/// tables[k][b]: the checksum of byte b followed by k zero bytes. Eight bytes then cost eight
/// independent loads instead of a chain of eight.
constexpr auto make_tables() {
  std::array<std::array<std::uint16_t, 256>, 8> tables{};
  for (std::uint32_t b = 0; b < 256; ++b) {
    auto crc = static_cast<std::uint16_t>(b << 8);
    for (int bit = 0; bit < 8; ++bit)
      crc = static_cast<std::uint16_t>(crc & 0x8000 ? crc << 1 ^ 0x1021 : crc << 1);
    tables[0][b] = crc;
  }
  for (std::size_t k = 1; k < 8; ++k)
    for (std::size_t b = 0; b < 256; ++b) {
      const auto crc = tables[k - 1][b];
      tables[k][b] = static_cast<std::uint16_t>(crc << 8 ^ tables[0][crc >> 8]);
    }
  return tables;
}

constexpr auto tables = make_tables();

} // namespace

std::uint16_t crc16_by_tables(std::string_view bytes) noexcept {
  const auto* p = reinterpret_cast<const unsigned char*>(bytes.data());
  auto left = bytes.size();
  std::uint32_t crc = 0;
  for (; left >= 8; left -= 8, p += 8)
    crc = tables[7][p[0] ^ crc >> 8] ^ tables[6][p[1] ^ (crc & 0xff)] ^ tables[5][p[2]] ^
          tables[4][p[3]] ^ tables[3][p[4]] ^ tables[2][p[5]] ^ tables[1][p[6]] ^ tables[0][p[7]];
  if (left & 4) {
    crc = tables[3][p[0] ^ crc >> 8] ^ tables[2][p[1] ^ (crc & 0xff)] ^ tables[1][p[2]] ^
          tables[0][p[3]];
    p += 4;
  }
  if (left & 2) {
    crc = tables[1][p[0] ^ crc >> 8] ^ tables[0][p[1] ^ (crc & 0xff)];
    p += 2;
  }
  if (left & 1) crc = (crc << 8 & 0xff00) ^ tables[0][p[0] ^ crc >> 8];
  return static_cast<std::uint16_t>(crc);
}

std::string_view hash_tag(std::string_view key) noexcept {
  const auto open = key.find('{');
  if (open == std::string_view::npos) [[likely]]
    return key;
  const auto close = key.find('}', open + 1);
  if (close == std::string_view::npos || close == open + 1) return key;
  return key.substr(open + 1, close - open - 1);
}

} // namespace warp::storage
