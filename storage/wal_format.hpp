#pragma once

#include "messages/ids.hpp"
#include "messages/status.hpp"
#include "storage/universe_id.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace warp::storage {

// The layout of a log segment, shared by writer and reader; wal_format.md explains it. All numbers
// little-endian.

inline constexpr std::uint32_t wal_format_version = 2;
inline constexpr std::string_view wal_magic{"WARPWAL\0", 8};

inline constexpr std::size_t segment_header_bytes = 80;
inline constexpr std::size_t frame_header_bytes = 88;
inline constexpr std::size_t frame_alignment = 8;
inline constexpr std::size_t table_entry_bytes = 32;
/// Longest frame, bytes; a reader refuses more.
inline constexpr std::uint64_t frame_bytes_max = 0xffff'fff8u;

/// What stands at the front of a segment file.
struct segment_header {
  std::uint32_t version = wal_format_version;
  std::uint32_t stream = 0;
  universe_id universe;
  std::uint64_t generation = 0;
  std::uint64_t id = 0;       ///< random, not 0; stands before every frame of the segment
  std::uint64_t start = 0;    ///< number of the process start that wrote it
  std::uint64_t sequence = 0; ///< counts the segments of (start, stream) from 1
  /// The writer had failed before: the segment before this one may end without a seal.
  bool after_failure = false;
  /// Of the whole file, which never changes. 0: not known.
  std::uint64_t file_bytes = 0;

  friend bool operator==(const segment_header&, const segment_header&) = default;
};

enum class frame_kind : std::uint16_t {
  records = 1, ///< what one shard wrote in one round; without records it carries only a reservation
               ///< or an epoch
  state = 2,   ///< first frame of every segment: a table with where each shard of the stream stands
  seal = 3, ///< the segment ended cleanly; a table with first and last LSN of each shard that has
            ///< records in it
  idle = 4, ///< the writer went idle; nothing but the synced offset
  end = 5,  ///< clean stop: a table with each shard's next LSN
};

/// Flags: a transaction's part is among the records; the log was cut back to `previous` on purpose.
inline constexpr std::uint16_t frame_has_parts = 1, frame_cuts = 2;

/// What stands before the records (or the table) of a frame. `shard`, `epoch`, the LSNs and `count`
/// are 0 where the kind is not `records`; `count` is then the number of table entries.
struct frame_header {
  std::uint64_t segment = 0; ///< id of the segment the frame belongs to
  std::uint32_t length =
      0; ///< of the frame with this header, without the padding to the next multiple of 8
  frame_kind kind = frame_kind::records;
  std::uint16_t flags = 0;
  shard_id shard;
  std::uint32_t count = 0; ///< records (transaction parts not counted)
  epoch_t epoch = 0;       ///< of the records; without records: the highest that the shard has seen
  lsn_t previous = 0;      ///< LSN of the shard's last record before this frame
  lsn_t first = 0;         ///< of the records; without records first and last equal `previous`
  lsn_t last = 0;
  lsn_t reserved = 0; ///< LSNs up to this one may be handed out once this frame is durable
  std::uint64_t timestamp_us = 0; ///< when the round began; never going back within a stream
  std::uint64_t synced =
      0; ///< everything in this segment below this offset was on disk before this frame was written
  /// Of a replicated shard: one more than how many numbers `last` was above what was known to be
  /// committed. 0: says nothing.
  std::uint32_t uncommitted = 0;

  friend bool operator==(const frame_header&, const frame_header&) = default;
};

/// One line of a frame's table.
///   state: a = LSN of the shard's last record, b = reserved LSN
///   seal:  a = first, b = last LSN of the shard in this segment
///   end:   a = LSN of the shard's last record, b = next LSN to hand out
struct table_entry {
  shard_id shard;
  epoch_t epoch = 0;
  lsn_t a = 0, b = 0;

  friend bool operator==(const table_entry&, const table_entry&) = default;
};

/// Writes segment_header_bytes to `to`, checksum included.
void encode(const segment_header& header, char* to) noexcept;
/// corruption (magic, checksum: the cause alone, the caller names the file) or version_mismatch (a
/// newer format).
op_result<segment_header> decode_segment_header(std::string_view bytes);

/// Writes frame_header_bytes to `to`, with the checksum left 0: seal_frame() fills it.
void encode(const frame_header& header, char* to) noexcept;
/// Checksum of a frame at `offset` whose header stands at `header`; `body` continues it over what
/// follows piece by piece. Bound to the offset, so that a frame is valid only where it was written.
[[nodiscard]] std::uint32_t frame_crc_begin(const char* header, std::uint64_t offset) noexcept;
void set_frame_crc(char* header, std::uint32_t crc) noexcept;

/// Reads the header at the front of `bytes` without looking at the checksum; empty when it cannot
/// be one of segment `id` (other id, impossible length, kind or LSNs). `bytes` may end before the
/// frame does.
[[nodiscard]] std::optional<frame_header> peek_frame(std::string_view bytes,
                                                     std::uint64_t id) noexcept;
/// The same, and the whole frame is within `bytes` with a correct checksum for `offset`.
[[nodiscard]] std::optional<frame_header> check_frame(std::string_view bytes, std::uint64_t id,
                                                      std::uint64_t offset) noexcept;

void encode(const table_entry& entry, char* to) noexcept;
/// The table of a checked frame; empty when its size does not fit `count`.
[[nodiscard]] std::optional<std::vector<table_entry>> decode_table(const frame_header& header,
                                                                   std::string_view body);

[[nodiscard]] constexpr std::uint64_t padded(std::uint64_t length) noexcept {
  return (length + frame_alignment - 1) / frame_alignment * frame_alignment;
}

/// "0000000003-0001-000000000012.wal": start, stream, sequence.
struct segment_name {
  std::uint64_t start = 0;
  std::uint32_t stream = 0;
  std::uint64_t sequence = 0;
  friend auto operator<=>(const segment_name&, const segment_name&) = default;
};
[[nodiscard]] std::string segment_file_name(segment_name name);
/// The inverse; empty for any other text.
[[nodiscard]] std::optional<segment_name> parse_segment_file_name(std::string_view text) noexcept;
/// Old segments that wait to be used again are called spare-NUMBER.wal; nobody reads them.
inline constexpr std::string_view spare_prefix = "spare-";

} // namespace warp::storage
