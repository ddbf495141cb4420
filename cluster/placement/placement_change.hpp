#pragma once

#include "cluster/placement/plan_placement.hpp"

#include <cstddef>

namespace warp::cluster::placement {

/// What has to happen to get from one placement to another, in numbers.
struct placement_change {
  std::size_t copies_to_make = 0;  ///< each takes a shard's data to a node
  std::size_t copies_to_drop = 0;  ///< on nodes that hold one and should not
  std::size_t primaries_moved = 0; ///< shards whose preferred primary is another one
  friend bool operator==(const placement_change&, const placement_change&) = default;
};

/// Shards that only one of them has count as without copies in the other.
[[nodiscard]] placement_change change_between(const shard_nodes& from, const shard_nodes& to);

} // namespace warp::cluster::placement
