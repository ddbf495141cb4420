#pragma once

#include "messages/status.hpp"
#include "storage/data_folder.hpp"
#include "storage/engine_options.hpp"
#include "storage/shard.hpp"
#include "storage/stats.hpp"
#include "storage/wal_reader.hpp"

#include <memory>
#include <vector>

namespace warp::storage {

/// Where a shard goes on after recovery.
struct recovered_shard {
  log_position position;
  checkpoint_info checkpoint;    ///< the one that was used; sequence 0: none
  std::uint64_t log_records = 0; ///< replayed on top of it
  applied_place place;           ///< replicated: where that checkpoint ends
  lsn_t commit = 0;              ///< replicated: replayed up to here, and no further
};

/// What recovery hands to the engine.
struct recovered {
  std::vector<recovered_shard> shards;
  std::vector<std::shared_ptr<segment_info>> segments;
  std::vector<checkpoint_info> damaged; ///< checkpoints that were passed over, to be put aside
  std::uint64_t timestamp_us = 0;       ///< newest in the log
  recovery_report report;
};

/// Fills empty shards from a data folder: for each its newest good checkpoint, then the log above
/// it (options.replicated: what is known to be committed of that), on `threads` threads. Changes
/// nothing on disk but to sync what it has read. corruption, with file, offset and cause, when
/// acknowledged data would be missing; the shards are then of no use.
op_result<recovered> recover(file_system& files, const data_folder& folder,
                             const engine_options& options, std::uint32_t threads,
                             const std::vector<std::unique_ptr<shard>>& shards);

} // namespace warp::storage
