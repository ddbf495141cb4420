#pragma once

#include "messages/status.hpp"
#include "storage/checkpoint_format.hpp"
#include "storage/file_system.hpp"
#include "storage/manifest.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace warp::storage {

/// A checkpoint file that has the name of one, and what it is worth.
struct checkpoint_evidence {
  std::string path;
  checkpoint_info info; ///< as a manifest would have it; of a damaged file shard and sequence alone
  std::optional<checkpoint_header> header; ///< where it can be read
  op_status status;                        ///< ok: every byte of it was checked
};

/// All that a data folder's files say about themselves.
struct folder_evidence {
  op_result<manifest> known =
      op_status{op_code::not_found, ""};        ///< the manifest, or why there is none
  std::vector<checkpoint_evidence> checkpoints; ///< by shard, newest first
  std::vector<std::string> segments;            ///< paths, in log order

  universe_id universe;
  std::uint64_t generation = 0;
  std::uint32_t shard_count = 0;
  std::uint64_t newest_start = 0; ///< of the segments' names
};

/// Reads a data folder of which nothing is taken for granted. Universe, generation and the number
/// of shards are the manifest's, or where it is lost what most of the other files say. corruption:
/// nothing tells whose it is; version_mismatch: something in it is of a newer program;
/// invalid_argument: no data folder.
op_result<folder_evidence> read_evidence(file_system& files, const std::string& folder);

/// The manifest that the other files support: every good checkpoint of this universe and
/// generation, and nothing about how far the log reaches.
[[nodiscard]] manifest rebuilt_manifest(const folder_evidence& evidence);

} // namespace warp::storage
