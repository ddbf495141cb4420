#include "cluster/placement/node_quotas.hpp"

#include <cstddef>
#include <queue>

namespace warp::cluster::placement {

std::vector<std::uint32_t> node_quotas(const placement_task& task,
                                       const std::vector<std::uint32_t>& held) {
  struct share {
    index node;
    std::uint64_t count; ///< it would be this node's count-th copy
  };
  const auto later = [&](const share& a, const share& b) {
    const auto of_a = a.count * task.nodes[b.node].weight;
    const auto of_b = b.count * task.nodes[a.node].weight;
    if (of_a != of_b) return of_a > of_b;
    const bool a_has = held[a.node] >= a.count, b_has = held[b.node] >= b.count;
    return a_has != b_has ? b_has : a.node > b.node;
  };
  std::priority_queue<share, std::vector<share>, decltype(later)> next(later);
  for (index n = 0; n < task.nodes.size(); ++n) next.push({n, 1});
  std::vector<std::uint32_t> quotas(task.nodes.size());
  std::vector<std::uint64_t> in_zone(task.zones.size());
  const auto zone_max = std::uint64_t{task.shards()} * task.copies_in_zone;
  auto left = std::uint64_t{task.shards()} * task.copies;
  while (left != 0 && !next.empty()) {
    const auto [node, count] = next.top();
    next.pop();
    auto& zone = in_zone[task.nodes[node].zone];
    if (zone == zone_max) continue;
    ++zone;
    --left;
    quotas[node] = static_cast<std::uint32_t>(count);
    if (count < task.shards()) next.push({node, count + 1});
  }
  return quotas;
}

} // namespace warp::cluster::placement
