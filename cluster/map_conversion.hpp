#pragma once

#include "cluster/cluster_map.hpp"
#include "messages/warp.capnp.h"

namespace warp::cluster {

// Between cluster_map.hpp and the wire, as in messages/conversion.hpp: the reader throws
// kj::Exception where the message itself is malformed.

void write_cluster_map(const cluster_map& map, wire::ClusterMap::Builder to);
/// Owned; nodes in the order of their ids, whatever the sender says. Without shards if their number
/// is no power of two in [1, 16,384].
[[nodiscard]] cluster_map read_cluster_map(wire::ClusterMap::Reader from);

} // namespace warp::cluster
