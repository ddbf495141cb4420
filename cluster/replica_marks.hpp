#pragma once

#include "cluster/replication/authority.hpp"
#include "messages/ids.hpp"
#include "messages/status.hpp"
#include "storage/file_system.hpp"

#include <string>

namespace warp::cluster {

/// What a start must know of a copy of a shard beside its log. A file of its own, because it says
/// something when the log is of no use.
struct replica_marks {
  /// R10: a checkpoint is on its way into this copy, or was when it stopped: nothing in it counts.
  bool incomplete = false;
  /// The boot that stopped cleanly last, whose log is whole; 0: none did.
  replication::boot_id stopped_boot;
  friend bool operator==(const replica_marks&, const replica_marks&) = default;
};

/// The file `replicas/SHARD` of the data folder: 64 bits "WARPCOPY", 32 format (1), 32 flags
/// (1: incomplete), 64 shard, 64 boot that stopped cleanly, 32 CRC-32C of all before it;
/// little-endian. No file: no marks. corruption: it is damaged or another shard's, and nobody knows
/// whether the copy is whole; io_error.
[[nodiscard]] op_result<replica_marks> read_marks(storage::file_system& files,
                                                  const std::string& folder, shard_id shard);
/// Durable when it returns ok. no_space, io_error: the old ones stand.
[[nodiscard]] op_status write_marks(storage::file_system& files, const std::string& folder,
                                    shard_id shard, const replica_marks& marks);

} // namespace warp::cluster
