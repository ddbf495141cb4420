#include "cluster/placement/plan_placement.hpp"

#include "cluster/placement/choose_primaries.hpp"
#include "cluster/placement/copy_planner.hpp"
#include "messages/limits.hpp"

#include <algorithm>
#include <cstddef>
#include <map>
#include <utility>

namespace warp::cluster::placement {

namespace {

using replication::node_id;

constexpr std::uint32_t rf_max = 7; ///< as of the key `config`

op_status check(const std::vector<placement_node>& by_id, std::uint32_t shards, std::uint32_t rf) {
  const auto refuse = [](std::string why) {
    return op_status{op_code::invalid_argument, std::move(why)};
  };
  if (shards == 0 || shards > shard_count_max)
    return refuse("a placement of " + std::to_string(shards) + " shards: 1 to " +
                  std::to_string(shard_count_max));
  if (rf == 0 || rf > rf_max)
    return refuse("a placement with " + std::to_string(rf) + " copies: 1 to " +
                  std::to_string(rf_max));
  for (std::size_t i = 0; i < by_id.size(); ++i) {
    const auto name = "node " + std::to_string(by_id[i].id.value);
    if (i != 0 && by_id[i].id == by_id[i - 1].id) return refuse(name + " is there twice");
    if (by_id[i].weight == 0) return refuse(name + " has weight 0: at least 1, or let it leave");
  }
  if (std::ranges::all_of(by_id, &placement_node::leaves))
    return refuse("no node is left to hold a copy: at least one has to stay");
  return {};
}

/// The fewest copies of a shard in one zone with which all of them find a place.
std::uint32_t copies_in_zone(const std::vector<std::vector<index>>& zones, std::uint32_t copies) {
  for (std::uint32_t most = 1;; ++most) {
    std::size_t room = 0;
    for (const auto& zone : zones) room += std::min<std::size_t>(zone.size(), most);
    if (room >= copies) return most;
  }
}

/// The nodes that stay, by id, and the task that they and what is now make.
struct indexed_task {
  std::vector<node_id> ids;
  placement_task task;
};

indexed_task task_of(const std::vector<placement_node>& by_id, std::uint32_t shards,
                     std::uint32_t rf, const shard_nodes& current) {
  indexed_task made;
  auto& [ids, task] = made;
  std::map<std::string, index> named;
  for (const auto& n : by_id) {
    if (n.leaves) continue;
    auto zone = static_cast<index>(task.zones.size());
    if (!n.zone.empty()) zone = named.try_emplace(n.zone, zone).first->second;
    if (zone == task.zones.size()) task.zones.emplace_back();
    task.zones[zone].push_back(static_cast<index>(ids.size()));
    ids.push_back(n.id);
    task.nodes.push_back({zone, n.weight});
  }
  const auto index_of = [&](node_id id) {
    const auto at = std::ranges::lower_bound(ids, id);
    return at == ids.end() || *at != id ? none : static_cast<index>(at - ids.begin());
  };
  task.copies = std::min(rf, static_cast<std::uint32_t>(ids.size()));
  task.copies_in_zone = copies_in_zone(task.zones, task.copies);
  task.has.resize(shards);
  task.primaries.resize(shards, none);
  for (std::size_t s = 0; s < std::min<std::size_t>(shards, current.size()); ++s) {
    if (!current[s].empty()) task.primaries[s] = index_of(current[s].front());
    for (const auto id : current[s])
      if (const auto n = index_of(id);
          n != none && std::ranges::find(task.has[s], n) == task.has[s].end())
        task.has[s].push_back(n);
  }
  return made;
}

} // namespace

op_result<shard_nodes> plan_placement(const std::vector<placement_node>& nodes,
                                      std::uint32_t shards, std::uint32_t rf,
                                      const shard_nodes& current) {
  auto by_id = nodes;
  std::ranges::sort(by_id, {}, &placement_node::id);
  if (auto status = check(by_id, shards, rf); !status.ok()) return status;
  const auto [ids, task] = task_of(by_id, shards, rf, current);
  auto copies = copy_planner{task}.plan();
  const auto primaries = choose_primaries(task, copies);
  shard_nodes planned(shards);
  for (std::size_t s = 0; s < shards; ++s) {
    const auto first = std::ranges::find(copies[s], primaries[s]);
    std::rotate(copies[s].begin(), first, first + 1);
    for (const auto n : copies[s]) planned[s].push_back(ids[n]);
  }
  return planned;
}

} // namespace warp::cluster::placement
