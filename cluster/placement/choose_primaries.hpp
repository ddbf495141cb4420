#pragma once

#include "cluster/placement/placement_task.hpp"

#include <vector>

namespace warp::cluster::placement {

/// By shard, which of its copies is the preferred primary: as even by weight as the copies allow,
/// and with few changes of what is.
///
/// Whoever is keeps it; then, as long as a node has so few that a chain of hand-overs leads to it
/// from one that has too many, the chain is followed. When there is no such chain, no other choice
/// is more even (Harvey, Ladner, Lovasz and Tamir, "Semi-matchings for bipartite graphs and load
/// balancing").
[[nodiscard]] std::vector<index> choose_primaries(const placement_task& task,
                                                  const std::vector<std::vector<index>>& copies);

} // namespace warp::cluster::placement
