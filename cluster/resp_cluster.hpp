#pragma once

#include "cluster/cluster_map.hpp"
#include "messages/ids.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace warp::cluster {

// A cluster in the words of Redis Cluster: what its clients are told when they are at the wrong
// node, and how CLUSTER shows the map.

/// "host:port" in its parts, an IPv6 address without its brackets. Port 0: there is none.
struct resp_address {
  std::string host;
  std::uint16_t port = 0;
};
[[nodiscard]] resp_address split_address(std::string_view text);

/// The name of a node towards Redis clients: 40 hexadecimal digits, the same over restarts. The
/// first 8, which tools show, are the node's id, the others are of the cluster's name.
[[nodiscard]] std::string resp_node_name(const cluster_map& map, replication::node_id id);

/// Neighbouring slots with the same primary, replicas and learners.
struct slot_range {
  std::uint32_t first = 0, last = 0; ///< both belong to it
  std::size_t shard = 0;             ///< one of its shards, as an index of the map
  epoch_t epoch = 0;                 ///< the highest of its shards
};
[[nodiscard]] std::vector<slot_range> slot_ranges(const cluster_map& map);

/// What a client is told that names a key of this slot at a node which does not serve it:
///   MOVED slot host:port   another node is its primary
///   TRYAGAIN               this node is, and is not ready yet, or is about to be replaced
///   CLUSTERDOWN            nobody is known to be, or its address is not
/// The first one makes every client of a cluster go there by itself; ioredis, go-redis and redis-py
/// try again a while after the other two. Nothing of the command was done.
[[nodiscard]] std::string redirection(const cluster_map& map, slot_id slot);

/// What keeps a command with these keys from being done here; empty: nothing.
///   CROSSSLOT              they are of more than one slot
/// and as redirection(). `shard_count`: the engine's.
[[nodiscard]] std::string misplaced(const cluster_view& cluster, std::uint32_t shard_count,
                                    std::span<const std::string_view> keys);

} // namespace warp::cluster
