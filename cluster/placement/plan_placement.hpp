#pragma once

#include "cluster/replication/authority.hpp"
#include "messages/status.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace warp::cluster::placement {

/// A node that can hold copies, or that does and shall give them up.
struct placement_node {
  replication::node_id id;
  /// What fails together; "": not said, and the node is a zone of its own.
  std::string zone;
  bool leaves = false;      ///< it is to be empty: gets nothing and gives up what it has
  std::uint32_t weight = 1; ///< of two nodes the one with twice the weight gets twice as much, >= 1
};

/// By shard: the nodes that hold or should hold a copy, the preferred primary first. What the key
/// `placement/desired` keeps.
using shard_nodes = std::vector<std::vector<replication::node_id>>;

/// Where the copies of `shards` shards should be. Pure: the same arguments give the same answer,
/// on every machine; about shards * rf * log(nodes) steps.
///
///  1. Each shard has min(rf, nodes that stay) copies, no two on one node.
///  2. No zone holds more copies of a shard than it must: copies are in different zones where
///     there are as many zones as copies. This comes before balance: a zone with few nodes holds
///     its share all the same.
///  3. As far as 1 and 2 allow, copies are shared out by weight, and so are primaries: equal nodes
///     differ by one at most.
///  4. Within that, as few copies as possible go to where none was; a primary stays where it is if
///     it can. What is planned already stays: planning with the answer as `current` changes
///     nothing.
///
/// `current`: what is there or was planned last, by shard; may name unknown nodes, too many or too
/// few nodes, or be empty (a new cluster). It ignores where data is in truth: what was planned
/// last is what a mover has brought about or will.
///
/// invalid_argument: no shards or too many, rf outside 1 to 7, a node twice, weight 0, or no node
/// that stays.
[[nodiscard]] op_result<shard_nodes> plan_placement(const std::vector<placement_node>& nodes,
                                                    std::uint32_t shards, std::uint32_t rf,
                                                    const shard_nodes& current);

} // namespace warp::cluster::placement
