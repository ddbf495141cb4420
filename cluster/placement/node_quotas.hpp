#pragma once

#include "cluster/placement/placement_task.hpp"

#include <vector>

namespace warp::cluster::placement {

/// How many copies each node should hold: shared out by weight, bounded by one copy of each shard
/// on a node and by what a zone may hold. Where numbers do not come out even, those that hold more
/// than others already keep it. `held`: by node, copies that it has now.
///
/// Copies are handed out one by one to whoever has the least for its weight. That is the greedy
/// rule for bounds that are nested (node within zone), and so as even as these allow.
[[nodiscard]] std::vector<std::uint32_t> node_quotas(const placement_task& task,
                                                     const std::vector<std::uint32_t>& held);

} // namespace warp::cluster::placement
