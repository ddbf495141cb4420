#pragma once

#include "messages/ids.hpp"
#include "messages/status.hpp"
#include "storage/universe_id.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace warp::storage {

// The layout of an object in a backup repository, shared by writer and reader; backup_format.md
// explains it. All numbers little-endian.

inline constexpr std::uint32_t backup_format_version = 1;
inline constexpr std::string_view backup_magic = "WARPBKUP";
inline constexpr std::string_view backup_end_magic = "WARPBKUE";

inline constexpr std::size_t backup_header_bytes = 96;
inline constexpr std::size_t backup_chunk_header_bytes = 20;
inline constexpr std::size_t backup_index_entry_bytes = 8;
inline constexpr std::size_t backup_trailer_bytes = 24;
/// Bytes of a chunk before compression; the last one may be shorter.
inline constexpr std::size_t backup_chunk_bytes = 1u << 20;

enum class backup_kind : std::uint32_t {
  checkpoint = 1, ///< a checkpoint file, as it is
  log = 2,        ///< a piece of a log segment, frames as they are
};

/// What stands at the front of an object: what it is a copy of.
struct backup_header {
  backup_kind kind = backup_kind::checkpoint;
  universe_id universe;
  std::uint64_t generation = 0;
  std::uint32_t number = 0;      ///< checkpoint: shard; log: stream
  std::uint32_t shard_count = 1; ///< of the universe, a power of two
  std::uint64_t start = 0;       ///< log: number of the process start
  std::uint64_t sequence = 0;    ///< of the checkpoint, or of the segment in its start and stream
  std::uint64_t segment = 0;     ///< log: the segment's id
  std::uint64_t from = 0;        ///< log: offset in the segment of the first byte

  friend bool operator==(const backup_header&, const backup_header&) = default;
};

enum class backup_codec : std::uint8_t { none = 0, zstd = 1 };

/// What stands before the payload of a chunk.
struct backup_chunk_header {
  std::uint32_t crc = 0;
  std::uint32_t stored_bytes = 0; ///< of the payload in the object
  std::uint32_t raw_bytes = 0;    ///< of the payload, decompressed
  std::uint32_t index = 0;        ///< chunks before this one
  backup_codec codec = backup_codec::none;
};

/// What stands at the end of an object, behind the index.
struct backup_trailer {
  std::uint64_t raw_bytes = 0; ///< of all chunks, decompressed
  std::uint32_t chunks = 0;
  std::uint32_t crc = 0; ///< continues the header's over the index and the fields before: it names
                         ///< the object's content
};

/// backup_header_bytes, checksum included.
[[nodiscard]] std::string encode(const backup_header& header);
/// From the first backup_header_bytes of an object. corruption or version_mismatch; the message has
/// offset and cause, the caller names the object.
op_result<backup_header> decode_backup_header(std::string_view bytes);
/// The header's own checksum, which all others of the object continue: no part of another object
/// fits.
[[nodiscard]] std::uint32_t backup_header_crc(std::string_view header_bytes) noexcept;

/// Writes backup_chunk_header_bytes with the right checksum.
void encode(const backup_chunk_header& header, std::string_view payload, std::uint32_t object_crc,
            char* to) noexcept;
/// From the first backup_chunk_header_bytes of `bytes`; corruption when the fields contradict each
/// other. The checksum is compared by backup_chunk_crc().
op_result<backup_chunk_header> decode_backup_chunk_header(std::string_view bytes);
/// Of a chunk's header, but for its checksum field, and its payload.
[[nodiscard]] std::uint32_t backup_chunk_crc(std::string_view header_bytes,
                                             std::string_view payload,
                                             std::uint32_t object_crc) noexcept;

/// backup_trailer_bytes; the checksum is that of `index` and the fields before it, trailer.crc is
/// not looked at.
[[nodiscard]] std::string encode(const backup_trailer& trailer, std::string_view index,
                                 std::uint32_t object_crc);
/// From the last backup_trailer_bytes of an object, the checksum not compared. corruption.
op_result<backup_trailer> decode_backup_trailer(std::string_view bytes);

} // namespace warp::storage
