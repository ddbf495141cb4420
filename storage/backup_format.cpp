#include "storage/backup_format.hpp"

#include "messages/limits.hpp"
#include "storage/byte_order.hpp"
#include "storage/crc32c.hpp"
#include "storage/sealed_header.hpp"

#include <fmt/format.h>

#include <bit>
#include <cstring>

namespace warp::storage {

namespace {

constexpr std::size_t trailer_crc_at = 12;

static_assert(trailer_crc_at + 4 + 8 == backup_trailer_bytes);
static_assert(backup_magic.size() == 8 && backup_end_magic.size() == 8);

constexpr sealed_header object_kind{backup_magic, backup_format_version, backup_header_bytes,
                                    "an object of a backup"};

} // namespace

std::string encode(const backup_header& header) {
  auto bytes = begin_header(object_kind);
  char* to = bytes.data() + sealed_header_fields_at;
  to = store_le<std::uint32_t>(to, static_cast<std::uint32_t>(header.kind));
  std::memcpy(to, header.universe.bytes.data(), header.universe.bytes.size());
  to += header.universe.bytes.size();
  to = store_le<std::uint64_t>(to, header.generation);
  to = store_le<std::uint32_t>(to, header.number);
  to = store_le<std::uint32_t>(to, header.shard_count);
  to = store_le<std::uint64_t>(to, header.start);
  to = store_le<std::uint64_t>(to, header.sequence);
  to = store_le<std::uint64_t>(to, header.segment);
  store_le<std::uint64_t>(to, header.from);
  // 12 spare bytes, then the checksum
  seal(object_kind, bytes);
  return bytes;
}

std::uint32_t backup_header_crc(std::string_view header_bytes) noexcept {
  return sealed_header_crc(object_kind, header_bytes);
}

op_result<backup_header> decode_backup_header(std::string_view bytes) {
  if (auto s = check_header(object_kind, bytes); !s.ok()) return s;
  const char* from = bytes.data();
  backup_header header;
  const auto kind = load_le<std::uint32_t>(from + 12);
  header.kind = static_cast<backup_kind>(kind);
  std::memcpy(header.universe.bytes.data(), from + 16, 16);
  header.generation = load_le<std::uint64_t>(from + 32);
  header.number = load_le<std::uint32_t>(from + 40);
  header.shard_count = load_le<std::uint32_t>(from + 44);
  header.start = load_le<std::uint64_t>(from + 48);
  header.sequence = load_le<std::uint64_t>(from + 56);
  header.segment = load_le<std::uint64_t>(from + 64);
  header.from = load_le<std::uint64_t>(from + 72);
  if (kind < 1 || kind > 2) return corrupt(fmt::format("offset 12: unknown kind {}", kind));
  if (!std::has_single_bit(header.shard_count) || header.shard_count > shard_count_max)
    return corrupt(fmt::format("offset 44: {} shards", header.shard_count));
  if (load_le<std::uint64_t>(from + 80) != 0 || load_le<std::uint32_t>(from + 88) != 0)
    return corrupt("offset 80: a spare field of the header is in use");
  return header;
}

std::uint32_t backup_chunk_crc(std::string_view header_bytes, std::string_view payload,
                               std::uint32_t object_crc) noexcept {
  return crc32c(payload, crc32c(header_bytes.substr(4, backup_chunk_header_bytes - 4), object_crc));
}

void encode(const backup_chunk_header& header, std::string_view payload, std::uint32_t object_crc,
            char* to) noexcept {
  char* at = store_le<std::uint32_t>(to, 0);
  at = store_le<std::uint32_t>(at, header.stored_bytes);
  at = store_le<std::uint32_t>(at, header.raw_bytes);
  at = store_le<std::uint32_t>(at, header.index);
  store_le<std::uint32_t>(at, static_cast<std::uint32_t>(header.codec));
  store_le<std::uint32_t>(to,
                          backup_chunk_crc({to, backup_chunk_header_bytes}, payload, object_crc));
}

op_result<backup_chunk_header> decode_backup_chunk_header(std::string_view bytes) {
  if (bytes.size() < backup_chunk_header_bytes) return corrupt("the chunk's header is cut off");
  const char* from = bytes.data();
  backup_chunk_header header;
  header.crc = load_le<std::uint32_t>(from);
  header.stored_bytes = load_le<std::uint32_t>(from + 4);
  header.raw_bytes = load_le<std::uint32_t>(from + 8);
  header.index = load_le<std::uint32_t>(from + 12);
  const auto codec = load_le<std::uint32_t>(from + 16);
  header.codec = static_cast<backup_codec>(codec);
  if (codec > 1) return corrupt(fmt::format("chunk of unknown codec {}", codec));
  if (header.raw_bytes == 0 || header.raw_bytes > backup_chunk_bytes ||
      header.stored_bytes > header.raw_bytes ||
      (header.codec == backup_codec::none && header.stored_bytes != header.raw_bytes))
    return corrupt(
        fmt::format("chunk of {} bytes that stands for {}", header.stored_bytes, header.raw_bytes));
  return header;
}

std::string encode(const backup_trailer& trailer, std::string_view index,
                   std::uint32_t object_crc) {
  std::string bytes(backup_trailer_bytes, '\0');
  char* to = store_le<std::uint64_t>(bytes.data(), trailer.raw_bytes);
  to = store_le<std::uint32_t>(to, trailer.chunks);
  const auto crc =
      crc32c(std::string_view{bytes}.substr(0, trailer_crc_at), crc32c(index, object_crc));
  to = store_le<std::uint32_t>(to, crc);
  store_bytes(to, backup_end_magic);
  return bytes;
}

op_result<backup_trailer> decode_backup_trailer(std::string_view bytes) {
  if (bytes.size() != backup_trailer_bytes || bytes.substr(16) != backup_end_magic)
    return corrupt("does not end like an object of a backup: cut off, or never finished");
  backup_trailer trailer;
  trailer.raw_bytes = load_le<std::uint64_t>(bytes.data());
  trailer.chunks = load_le<std::uint32_t>(bytes.data() + 8);
  trailer.crc = load_le<std::uint32_t>(bytes.data() + trailer_crc_at);
  if (trailer.raw_bytes > std::uint64_t{trailer.chunks} * backup_chunk_bytes)
    return corrupt(
        fmt::format("{} bytes in {} chunks are too many", trailer.raw_bytes, trailer.chunks));
  return trailer;
}

} // namespace warp::storage
