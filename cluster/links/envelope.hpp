#pragma once

#include "cluster/links/node_identity.hpp"
#include "cluster/links/packed_records.hpp"
#include "cluster/replication/replica_messages.hpp"
#include "messages/ids.hpp"
#include "messages/status.hpp"

#include <cstddef>
#include <span>
#include <vector>

/// Between the messages of the replication machines and the bytes that cross machines: a Cap'n
/// Proto message (messages/replication.capnp), flat, in one segment.
namespace warp::cluster::links {

/// A message of one copy of a shard. On its way out its `from.node` is the sending node's.
struct shard_message {
  shard_id shard;
  replication::message what;
};

/// Messages of many shards from one node to another. What stands beside them is the same for all.
struct envelope {
  cluster_id cluster;
  node_id node;
  boot_id boot; ///< of the sender's process
  std::vector<shard_message> messages;
};

/// Bytes that a message takes in an envelope, at most 7 of them too many.
[[nodiscard]] std::size_t encoded_bytes(const shard_message& m);

/// The bytes of an envelope, behind `headroom` (whole words) for the caller to fill. The bodies of
/// records are copied once, to where they are sent from. invalid_argument: a record that is longer
/// than record_body_bytes_max.
op_result<std::vector<char>> encode_envelope(const node_identity& sender,
                                             std::span<const shard_message> messages,
                                             std::size_t headroom = 0);

/// Takes an envelope apart. All or nothing: `corruption` names what is wrong with it (bytes that
/// are no such message, more than one segment, a message of no known kind, numbers that cannot be:
/// no boot, epoch 0, an LSN above lsn_max, records out of order or of a later epoch than their
/// Append, a durable LSN above the appended one); `not_supported`: another format. Never takes more
/// memory than 24 times the bytes it was given.
op_result<envelope> decode_envelope(std::span<const char> bytes);

} // namespace warp::cluster::links
