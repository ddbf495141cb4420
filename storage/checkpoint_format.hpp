#pragma once

#include "messages/ids.hpp"
#include "messages/limits.hpp"
#include "messages/status.hpp"
#include "storage/record.hpp"
#include "storage/universe_id.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace warp::storage {

// The layout of a checkpoint file, shared by writer and reader; checkpoint_format.md explains it.

inline constexpr std::uint32_t checkpoint_format_version = 2;
inline constexpr std::string_view checkpoint_magic = "WARPCKPT";
inline constexpr std::string_view checkpoint_end_magic = "WARPCKPE";

inline constexpr std::size_t checkpoint_header_bytes = 72;
inline constexpr std::size_t checkpoint_block_header_bytes = 24;
inline constexpr std::size_t checkpoint_trailer_bytes = 16;
/// A block is closed before it would grow beyond this, unless one record alone does.
inline constexpr std::size_t checkpoint_block_bytes = 256 * 1024;
/// Fixed part of a packed record; an expiry adds 8.
inline constexpr std::size_t checkpoint_record_header_bytes = 14;
/// Longest payload of a block: the longest record.
inline constexpr std::size_t checkpoint_payload_bytes_max =
    checkpoint_record_header_bytes + 8 + key_size_max + value_size_hard_max;
inline constexpr std::size_t checkpoint_section_name_max = 64;
inline constexpr std::size_t checkpoint_sections_max = 1'024;

/// Name of the section with the shard's request_window.
inline constexpr std::string_view checkpoint_section_requests = "requests";
/// Of a replicated shard: an applied_place, where its log goes on.
inline constexpr std::string_view checkpoint_section_place = "place";

/// What stands at the front of a checkpoint: whose it is, and where its log begins.
struct checkpoint_header {
  universe_id universe;
  std::uint64_t generation = 0;
  shard_id shard;
  std::uint32_t shard_count = 1;
  epoch_t start_epoch = 0;
  lsn_t start_lsn =
      0; ///< replaying the log from the record after this one makes the checkpoint exact

  friend bool operator==(const checkpoint_header&, const checkpoint_header&) = default;
};

/// What is known when a checkpoint is finished.
struct checkpoint_end {
  epoch_t end_epoch = 0;
  lsn_t end_lsn = 0;      ///< last write that may be in it; >= start_lsn
  lsn_t reserved_lsn = 0; ///< LSNs up to this one were reserved when it was finished; >= end_lsn
  std::uint64_t created_at_ms = 0;

  friend bool operator==(const checkpoint_end&, const checkpoint_end&) = default;
};

/// A record as it stands in a block; the views point into the block.
struct checkpoint_record {
  std::string_view key;
  std::string_view value;
  record_meta meta;
};

enum class checkpoint_block_kind : std::uint8_t { data = 1, section = 2 };
enum class checkpoint_codec : std::uint8_t { none = 0, zstd = 1 };

/// What stands before the payload of a block.
struct checkpoint_block_header {
  std::uint32_t crc = 0;
  std::uint32_t stored_bytes = 0; ///< of the payload in the file
  std::uint32_t raw_bytes = 0;    ///< of the payload, decompressed
  std::uint32_t count =
      0; ///< data: records; section: bytes of the name, which stands before its bytes
  std::uint32_t index = 0; ///< blocks before this one
  checkpoint_block_kind kind = checkpoint_block_kind::data;
  checkpoint_codec codec = checkpoint_codec::none;
};

struct checkpoint_section {
  std::string name;
  std::uint64_t offset = 0; ///< of its block
  std::uint64_t bytes = 0;  ///< without the name

  friend bool operator==(const checkpoint_section&, const checkpoint_section&) = default;
};

/// What stands at the end of a checkpoint.
struct checkpoint_footer {
  checkpoint_end end;
  std::uint64_t records = 0;
  std::uint32_t blocks = 0;
  std::uint32_t blocks_crc = 0; ///< crc32c of the crc fields of all blocks, in order
  std::vector<checkpoint_section> sections;

  friend bool operator==(const checkpoint_footer&, const checkpoint_footer&) = default;
};

/// checkpoint_header_bytes, checksum included.
[[nodiscard]] std::string encode(const checkpoint_header& header);
/// From the first checkpoint_header_bytes of a file. corruption or version_mismatch; the message
/// has offset and cause.
op_result<checkpoint_header> decode_checkpoint_header(std::string_view bytes);
/// The header's own checksum, which every block's checksum continues: a block of another file never
/// fits.
[[nodiscard]] std::uint32_t checkpoint_header_crc(std::string_view header_bytes) noexcept;

/// Writes checkpoint_block_header_bytes, with the checksum as it stands in `header`.
void encode(const checkpoint_block_header& header, char* to) noexcept;
/// Of the header's bytes after the checksum field; to be continued over the stored payload.
[[nodiscard]] std::uint32_t checkpoint_block_crc(const char* header,
                                                 std::uint32_t file_crc) noexcept;
/// From the first checkpoint_block_header_bytes of `bytes`. corruption when the fields contradict
/// each other or the payload would be longer than `payload_max`.
op_result<checkpoint_block_header> decode_checkpoint_block_header(std::string_view bytes,
                                                                  std::uint64_t payload_max);

/// Footer and trailer, as they stand at the end of a file that begins with `header_bytes`.
[[nodiscard]] std::string encode(const checkpoint_footer& footer, std::string_view header_bytes);
/// Bytes of footer and trailer together, from the trailer: the last checkpoint_trailer_bytes of a
/// file. corruption.
op_result<std::uint64_t> checkpoint_footer_bytes(std::string_view trailer);
/// From the bytes of footer and trailer, the inverse of encode(). corruption.
op_result<checkpoint_footer> decode_checkpoint_footer(std::string_view bytes,
                                                      std::string_view header_bytes);
/// The checksum in the trailer.
[[nodiscard]] std::uint32_t checkpoint_checksum(std::string_view trailer) noexcept;

/// Bytes of a packed record.
[[nodiscard]] constexpr std::size_t packed_record_bytes(std::size_t key, std::size_t value,
                                                        const record_meta& meta) noexcept {
  return checkpoint_record_header_bytes + (meta.expires_at_ms ? 8 : 0) + key + value;
}
/// Writes everything of a packed record but the value, which follows; returns the address behind
/// it.
char* pack_record_head(char* to, std::string_view key, std::size_t value_size,
                       const record_meta& meta) noexcept;

} // namespace warp::storage
