#include "storage/checkpoint_format.hpp"

#include "storage/byte_order.hpp"
#include "storage/crc32c.hpp"
#include "storage/sealed_header.hpp"

#include <fmt/format.h>

#include <bit>
#include <cstring>

namespace warp::storage {

namespace {

constexpr std::size_t footer_fixed_bytes = 56;
constexpr std::size_t section_fixed_bytes = 8 + 8 + 2;
constexpr std::size_t footer_bytes_max =
    footer_fixed_bytes +
    checkpoint_sections_max * (section_fixed_bytes + checkpoint_section_name_max);

static_assert(checkpoint_magic.size() == 8 && checkpoint_end_magic.size() == 8);
static_assert(checkpoint_payload_bytes_max <= 0xffff'ffffu, "a payload's length has 32 bits");

constexpr sealed_header file_kind{checkpoint_magic, checkpoint_format_version,
                                  checkpoint_header_bytes, "a checkpoint"};

} // namespace

std::string encode(const checkpoint_header& header) {
  auto bytes = begin_header(file_kind);
  char* to = bytes.data() + sealed_header_fields_at;
  to = store_le<std::uint32_t>(to, header.shard_count);
  std::memcpy(to, header.universe.bytes.data(), header.universe.bytes.size());
  to += header.universe.bytes.size();
  to = store_le<std::uint64_t>(to, header.generation);
  to = store_le<std::uint32_t>(to, header.shard.value);
  to = store_le<std::uint32_t>(to, 0);
  to = store_le<std::uint64_t>(to, header.start_epoch);
  to = store_le<std::uint64_t>(to, header.start_lsn);
  // 4 spare bytes, then the checksum
  seal(file_kind, bytes);
  return bytes;
}

std::uint32_t checkpoint_header_crc(std::string_view header_bytes) noexcept {
  return sealed_header_crc(file_kind, header_bytes);
}

op_result<checkpoint_header> decode_checkpoint_header(std::string_view bytes) {
  if (auto s = check_header(file_kind, bytes); !s.ok()) return s;
  const char* from = bytes.data();
  checkpoint_header header;
  header.shard_count = load_le<std::uint32_t>(from + 12);
  std::memcpy(header.universe.bytes.data(), from + 16, 16);
  header.generation = load_le<std::uint64_t>(from + 32);
  header.shard = shard_id{load_le<std::uint32_t>(from + 40)};
  header.start_epoch = load_le<std::uint64_t>(from + 48);
  header.start_lsn = load_le<std::uint64_t>(from + 56);
  if (load_le<std::uint32_t>(from + 44) != 0 || load_le<std::uint32_t>(from + 64) != 0)
    return corrupt("offset 44: a spare field of the header is in use");
  if (!std::has_single_bit(header.shard_count) || header.shard_count > shard_count_max ||
      header.shard.value >= header.shard_count)
    return corrupt(
        fmt::format("offset 12: shard {} of {}", header.shard.value, header.shard_count));
  return header;
}

void encode(const checkpoint_block_header& header, char* to) noexcept {
  to = store_le<std::uint32_t>(to, header.crc);
  to = store_le<std::uint32_t>(to, header.stored_bytes);
  to = store_le<std::uint32_t>(to, header.raw_bytes);
  to = store_le<std::uint32_t>(to, header.count);
  to = store_le<std::uint32_t>(to, header.index);
  to = store_le<std::uint8_t>(to, static_cast<std::uint8_t>(header.kind));
  to = store_le<std::uint8_t>(to, static_cast<std::uint8_t>(header.codec));
  store_le<std::uint16_t>(to, 0);
}

std::uint32_t checkpoint_block_crc(const char* header, std::uint32_t file_crc) noexcept {
  return crc32c({header + 4, checkpoint_block_header_bytes - 4}, file_crc);
}

op_result<checkpoint_block_header> decode_checkpoint_block_header(std::string_view bytes,
                                                                  std::uint64_t payload_max) {
  if (bytes.size() < checkpoint_block_header_bytes) return corrupt("the block's header is cut off");
  const char* from = bytes.data();
  checkpoint_block_header header;
  header.crc = load_le<std::uint32_t>(from);
  header.stored_bytes = load_le<std::uint32_t>(from + 4);
  header.raw_bytes = load_le<std::uint32_t>(from + 8);
  header.count = load_le<std::uint32_t>(from + 12);
  header.index = load_le<std::uint32_t>(from + 16);
  const auto kind = load_le<std::uint8_t>(from + 20);
  const auto codec = load_le<std::uint8_t>(from + 21);
  header.kind = static_cast<checkpoint_block_kind>(kind);
  header.codec = static_cast<checkpoint_codec>(codec);
  if (kind < 1 || kind > 2 || codec > 1 || load_le<std::uint16_t>(from + 22) != 0)
    return corrupt(fmt::format("block of unknown kind {} or codec {}", kind, codec));
  if (header.stored_bytes > payload_max || header.raw_bytes > checkpoint_payload_bytes_max)
    return corrupt(fmt::format("block of {} bytes ({} decompressed), {} are left in the file",
                               header.stored_bytes, header.raw_bytes, payload_max));
  if (header.codec == checkpoint_codec::none && header.stored_bytes != header.raw_bytes)
    return corrupt(
        fmt::format("plain block of {} and {} bytes", header.stored_bytes, header.raw_bytes));
  return header;
}

std::string encode(const checkpoint_footer& footer, std::string_view header_bytes) {
  std::size_t size = footer_fixed_bytes;
  for (const auto& section : footer.sections) size += section_fixed_bytes + section.name.size();
  std::string bytes(size + checkpoint_trailer_bytes, '\0');
  char* to = bytes.data();
  to = store_le<std::uint64_t>(to, footer.records);
  to = store_le<std::uint32_t>(to, footer.blocks);
  to = store_le<std::uint32_t>(to, footer.blocks_crc);
  to = store_le<std::uint64_t>(to, footer.end.end_epoch);
  to = store_le<std::uint64_t>(to, footer.end.end_lsn);
  to = store_le<std::uint64_t>(to, footer.end.reserved_lsn);
  to = store_le<std::uint64_t>(to, footer.end.created_at_ms);
  to = store_le<std::uint32_t>(to, static_cast<std::uint32_t>(footer.sections.size()));
  to = store_le<std::uint32_t>(to, 0);
  for (const auto& section : footer.sections) {
    to = store_le<std::uint64_t>(to, section.offset);
    to = store_le<std::uint64_t>(to, section.bytes);
    to = store_le<std::uint16_t>(to, static_cast<std::uint16_t>(section.name.size()));
    to = store_bytes(to, section.name);
  }
  to = store_le<std::uint32_t>(to, static_cast<std::uint32_t>(size));
  const std::string_view covered{bytes.data(), size + 4};
  to = store_le<std::uint32_t>(to, crc32c(covered, checkpoint_header_crc(header_bytes)));
  store_bytes(to, checkpoint_end_magic);
  return bytes;
}

op_result<std::uint64_t> checkpoint_footer_bytes(std::string_view trailer) {
  if (trailer.size() < checkpoint_trailer_bytes) return corrupt("the file ends before its trailer");
  if (trailer.substr(8, 8) != checkpoint_end_magic)
    return corrupt("does not end like a checkpoint: cut off, or never finished");
  const auto size = load_le<std::uint32_t>(trailer.data());
  if (size < footer_fixed_bytes || size > footer_bytes_max)
    return corrupt(fmt::format("footer of {} bytes", size));
  return size + checkpoint_trailer_bytes;
}

std::uint32_t checkpoint_checksum(std::string_view trailer) noexcept {
  return load_le<std::uint32_t>(trailer.data() + 4);
}

op_result<checkpoint_footer> decode_checkpoint_footer(std::string_view bytes,
                                                      std::string_view header_bytes) {
  if (bytes.size() < footer_fixed_bytes + checkpoint_trailer_bytes)
    return corrupt("the footer is cut off");
  const auto size = bytes.size() - checkpoint_trailer_bytes;
  const auto stored = checkpoint_checksum(bytes.substr(size));
  const auto crc = crc32c(bytes.substr(0, size + 4), checkpoint_header_crc(header_bytes));
  if (stored != crc)
    return corrupt(fmt::format("footer checksum {:08x}, computed {:08x}", stored, crc));
  const char* from = bytes.data();
  checkpoint_footer footer;
  footer.records = load_le<std::uint64_t>(from);
  footer.blocks = load_le<std::uint32_t>(from + 8);
  footer.blocks_crc = load_le<std::uint32_t>(from + 12);
  footer.end.end_epoch = load_le<std::uint64_t>(from + 16);
  footer.end.end_lsn = load_le<std::uint64_t>(from + 24);
  footer.end.reserved_lsn = load_le<std::uint64_t>(from + 32);
  footer.end.created_at_ms = load_le<std::uint64_t>(from + 40);
  const auto sections = load_le<std::uint32_t>(from + 48);
  if (load_le<std::uint32_t>(from + 52) != 0)
    return corrupt("a spare field of the footer is in use");
  if (sections > checkpoint_sections_max) return corrupt(fmt::format("{} sections", sections));
  std::size_t at = footer_fixed_bytes;
  for (std::uint32_t i = 0; i < sections; ++i) {
    if (size - at < section_fixed_bytes) return corrupt("the section table is cut off");
    checkpoint_section section;
    section.offset = load_le<std::uint64_t>(from + at);
    section.bytes = load_le<std::uint64_t>(from + at + 8);
    const std::size_t name_bytes = load_le<std::uint16_t>(from + at + 16);
    at += section_fixed_bytes;
    if (size - at < name_bytes) return corrupt("the name of a section is cut off");
    section.name.assign(from + at, name_bytes);
    at += name_bytes;
    footer.sections.push_back(std::move(section));
  }
  if (at != size) return corrupt(fmt::format("{} bytes too many in the footer", size - at));
  return footer;
}

char* pack_record_head(char* to, std::string_view key, std::size_t value_size,
                       const record_meta& meta) noexcept {
  to = store_le<std::uint16_t>(to, static_cast<std::uint16_t>(key.size() - 1));
  to = store_le<std::uint8_t>(to, static_cast<std::uint8_t>(meta.type));
  to = store_le<std::uint8_t>(
      to, static_cast<std::uint8_t>(
              static_cast<unsigned>(meta.rank) | static_cast<unsigned>(meta.pattern) << 3 |
              (meta.expires_at_ms ? 1u << 5 : 0) | (meta.unlogged ? 1u << 6 : 0)));
  to = store_le<std::uint32_t>(to, static_cast<std::uint32_t>(value_size));
  to = store_le<std::uint32_t>(to, static_cast<std::uint32_t>(meta.version));
  to = store_le<std::uint16_t>(to, static_cast<std::uint16_t>(meta.version >> 32));
  if (meta.expires_at_ms) to = store_le<std::uint64_t>(to, meta.expires_at_ms);
  return store_bytes(to, key);
}

} // namespace warp::storage
