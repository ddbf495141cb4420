#pragma once

#include "cluster/links/node_identity.hpp"
#include "cluster/links/peer_address.hpp"
#include "cluster/links/tls_files.hpp"
#include "messages/ids.hpp"
#include "messages/status.hpp"
#include "storage/checkpoint_transfer.hpp"
#include "storage/file_system.hpp"

#include <chrono>
#include <functional>
#include <optional>
#include <string>

namespace warp::cluster::links {

/// A checkpoint that is wanted from another node.
struct checkpoint_wish {
  node_identity self;
  node_id from;
  peer_address address; ///< of its checkpoint_server
  std::optional<tls_files> tls;
  shard_id shard;
  epoch_t max_epoch = 0; ///< of this copy: nothing lower is taken (R1)
  std::string path;      ///< where the file is to be; its part lies beside it meanwhile
  /// Asked between two chunks and two tries; false: give up, and keep the part.
  std::function<bool()> wanted;
  /// Told with its end when a checkpoint has begun to arrive, for each one that has. May be empty.
  std::function<void(lsn_t end)> coming;
  /// After so long without a further chunk it is given up.
  std::chrono::milliseconds patience{30'000};
};

/// One that has arrived, verified and synced, at checkpoint_wish::path.
struct fetched_checkpoint {
  epoch_t max_epoch = 0; ///< of its sender: goes into checkpoint_received
  storage::checkpoint_offer offer;
  std::uint64_t connections = 0; ///< that it took
};

/// Fetches it: waits until the node offers one, reads it chunk by chunk (two under way, 1 MiB
/// each), goes on behind the last chunk when the connection breaks, also after a restart of this
/// process, and begins again when another checkpoint is on offer meanwhile. Blocks; for a thread of
/// its own that runs no other event loop.
///
/// Codes: version_mismatch (its sender's max_epoch is lower: ask another member), unauthorized,
/// not_supported (not a node of this cluster), shutting_down (not wanted any more), timed_out (out
/// of patience; the message has the last failure), those of checkpoint_importer.
op_result<fetched_checkpoint> fetch_checkpoint(const checkpoint_wish& wish,
                                               storage::file_system& files);

} // namespace warp::cluster::links
