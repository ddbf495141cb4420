#pragma once

#include <cstdint>
#include <limits>
#include <vector>

namespace warp::cluster::placement {

/// A node or a shard by its place in a list.
using index = std::uint32_t;
inline constexpr index none = std::numeric_limits<index>::max();

/// What is to be planned, with the nodes that stay in the order of their ids and everything by
/// index.
struct placement_task {
  struct node {
    index zone;
    std::uint32_t weight;
  };
  std::vector<node> nodes;
  std::vector<std::vector<index>> zones; ///< the nodes of each
  std::uint32_t copies = 0;              ///< of each shard
  std::uint32_t copies_in_zone = 0;      ///< of each shard, at most
  /// By shard: who has a copy now, in order, nobody twice, only nodes that stay.
  std::vector<std::vector<index>> has;
  /// By shard: who is its primary now; none: nobody, or a node that does not stay.
  std::vector<index> primaries;

  [[nodiscard]] std::uint32_t shards() const { return static_cast<std::uint32_t>(has.size()); }
};

} // namespace warp::cluster::placement
