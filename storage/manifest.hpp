#pragma once

#include "messages/ids.hpp"
#include "messages/status.hpp"
#include "storage/file_system.hpp"
#include "storage/universe_id.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace warp::storage {

inline constexpr std::uint32_t manifest_format_version = 2;
inline constexpr std::string_view manifest_file_name = "MANIFEST";

/// A published checkpoint of a shard.
struct checkpoint_info {
  shard_id shard;
  std::uint64_t sequence = 0; ///< names the file; from 1, never used twice for a shard
  lsn_t start_lsn = 0, end_lsn = 0, reserved_lsn = 0; ///< as in checkpoint_format.hpp
  epoch_t start_epoch = 0, end_epoch = 0;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;
  std::uint64_t created_at_ms = 0;

  friend bool operator==(const checkpoint_info&, const checkpoint_info&) = default;
};

/// The table of contents of a data folder. manifest_format.md describes the file.
struct manifest {
  universe_id universe;
  std::uint64_t generation = 0;
  std::uint64_t starts = 0; ///< how often a process has started on this folder
  /// The newest start whose log is there: its segments name every shard. 0: not known.
  std::uint64_t log_start = 0;
  /// Last LSNs of all shards' logs, added up, as far as is known: after a clean stop exactly where
  /// they end, else 0.
  std::uint64_t log_reaches = 0;
  /// Per shard, newest first. Its size is the shard count, a power of two.
  std::vector<std::vector<checkpoint_info>> checkpoints;

  [[nodiscard]] std::uint32_t shard_count() const noexcept {
    return static_cast<std::uint32_t>(checkpoints.size());
  }
  friend bool operator==(const manifest&, const manifest&) = default;
};

[[nodiscard]] std::string encode_manifest(const manifest& m);
/// `path` is for the messages. invalid_argument (not a manifest of ours), version_mismatch (of a
/// newer program), corruption (damage; the message names the offset).
op_result<manifest> decode_manifest(std::string_view bytes, std::string_view path);

/// Reads folder/MANIFEST; not_found if there is none, else as decode_manifest() and io_error.
op_result<manifest> load_manifest(file_system& files, const std::string& folder);
/// Replaces folder/MANIFEST: temporary name, sync, rename, sync of the folder. After a failure or a
/// crash the old one or the new one is there, whole; after ok it is the new one.
op_status save_manifest(file_system& files, const std::string& folder, const manifest& m);

} // namespace warp::storage
