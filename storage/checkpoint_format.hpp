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

inline constexpr std::uint32_t checkpoint_format_version = 1;
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

} // namespace warp::storage
