#include "cluster/placement/copy_planner.hpp"

#include "cluster/placement/node_quotas.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <numeric>
#include <utility>

namespace warp::cluster::placement {

namespace {

bool contains(const std::vector<index>& all, index one) {
  return std::ranges::find(all, one) != all.end();
}

} // namespace

copy_planner::copy_planner(const placement_task& task)
    : task_(task), copies_(task.has), on_node_(task.nodes.size()), load_(task.nodes.size()),
      place_in_zone_(task.nodes.size()), zones_by_need_(task.zones.size()) {
  for (const auto& zone : task.zones) {
    nodes_by_need_.emplace_back(zone.size());
    for (index i = 0; i < zone.size(); ++i) place_in_zone_[zone[i]] = i;
  }
  for (index s = 0; s < task.shards(); ++s)
    for (const auto n : copies_[s]) {
      ++load_[n];
      on_node_[n].push_back(s);
    }
  quota_ = node_quotas(task, load_);
  for (index n = 0; n < task.nodes.size(); ++n) changed(n);
}

std::vector<std::vector<index>> copy_planner::plan() {
  for (index s = 0; s < task_.shards(); ++s) trim(s);
  for (index s = 0; s < task_.shards(); ++s) fill(s);
  for (index n = 0; n < task_.nodes.size(); ++n) relieve(n);
  return std::move(copies_);
}

/// Drops what a zone has too much, then what the shard has, and of that what a node has.
void copy_planner::trim(index shard) {
  const auto& all = copies_[shard];
  for (;;) {
    const auto is_crowded = [&](index n) {
      return in_zone(shard, task_.nodes[n].zone) > task_.copies_in_zone;
    };
    const bool crowded = std::ranges::any_of(all, is_crowded);
    if (!crowded && all.size() <= task_.copies) return;
    const auto surplus = [&](index n) { return std::int64_t{load_[n]} - quota_[n]; };
    index worst = none;
    for (const auto n : all)
      if ((!crowded || is_crowded(n)) && (worst == none || surplus(n) >= surplus(worst))) worst = n;
    remove(shard, worst);
    dropped_ = true;
  }
}

void copy_planner::fill(index shard) {
  while (copies_[shard].size() < task_.copies) {
    if (const auto n = neediest(shard, none); n != none)
      add(shard, n);
    else if (!reroute(shard, none))
      return;
  }
}

void copy_planner::relieve(index node) {
  // What was given up for lack of room elsewhere costs nothing to keep.
  while (dropped_ && is_over(node) && reroute(none, node, links::restored)) continue;
  if (is_over(node)) move_directly(node, true);
  if (is_over(node)) move_directly(node, false);
  while (is_over(node) && reroute(none, node)) continue;
}

void copy_planner::move_directly(index node, bool followers_only) {
  const auto mine = on_node_[node];
  for (const auto s : mine) {
    if (!is_over(node)) return;
    if (!has(s, node) || (followers_only && task_.primaries[s] == node)) continue;
    const auto to = neediest(s, node);
    if (to == none) continue;
    remove(s, node);
    add(s, to);
  }
}

/// The shortest chain that ends at a node with room: it begins with a shard that lacks a copy or
/// with a node that has too many, and each link is a shard that gives up one node for the next.
/// Shortest, so no shard gets into its own way. False: there is none.
bool copy_planner::reroute(index lacking, index over, links how) {
  std::vector<hop> came(task_.nodes.size());
  std::vector<index> left(task_.nodes.size());
  std::iota(left.begin(), left.end(), index{0});
  if (over != none) std::erase(left, over);
  std::deque<index> reached;
  index goal = none;
  const auto look = [&](index shard, index given_up) {
    const auto reach_node = [&](index n) {
      came[n] = {shard, given_up};
      reached.push_back(n);
      if (load_[n] < quota_[n]) goal = n;
    };
    if (how == links::restored) {
      for (const auto n : task_.has[shard])
        if (goal == none && n != over && came[n].shard == none && accepts(shard, given_up, n))
          reach_node(n);
    } else if (const auto n = neediest(shard, given_up); n != none) {
      reach_node(n);
    } else {
      std::erase_if(left, [&](index to) {
        if (!accepts(shard, given_up, to)) return false;
        reach_node(to);
        return true;
      });
    }
  };
  if (lacking != none)
    look(lacking, none);
  else
    reached.push_back(over);
  while (goal == none && !reached.empty()) {
    const auto n = reached.front();
    reached.pop_front();
    for (const auto s : on_node_[n])
      if (goal == none && has(s, n) &&
          (how != links::fresh || n == over || !contains(task_.has[s], n)))
        look(s, n);
  }
  if (goal == none) return false;
  for (auto n = goal; n != none && n != over;) {
    const auto [shard, from] = came[n];
    if (from != none) remove(shard, from);
    add(shard, n);
    n = from;
  }
  return true;
}

bool copy_planner::reroute(index lacking, index over) {
  return reroute(lacking, over, links::fresh) || reroute(lacking, over, links::any);
}

bool copy_planner::has(index shard, index node) const {
  return contains(copies_[shard], node);
}

/// Whether a shard can have a copy on a node, when it gives up another (or none).
bool copy_planner::accepts(index shard, index given_up, index node) const {
  if (has(shard, node)) return false;
  const auto zone = task_.nodes[node].zone;
  return (given_up != none && task_.nodes[given_up].zone == zone) ||
         in_zone(shard, zone) < task_.copies_in_zone;
}

std::uint32_t copy_planner::in_zone(index shard, index zone) const {
  return static_cast<std::uint32_t>(
      std::ranges::count_if(copies_[shard], [&](index n) { return task_.nodes[n].zone == zone; }));
}

/// Of the zone whose nodes need most together the node that needs most: taken in this order, whole
/// columns of such a table are filled without a dead end (Gale and Ryser).
index copy_planner::neediest(index shard, index given_up) const {
  const auto seed = std::uint64_t{shard} * 8 + copies_[shard].size();
  index found = none;
  static_cast<void>(zones_by_need_.first(seed, [&](index zone) {
    const auto& nodes = task_.zones[zone];
    const bool full = in_zone(shard, zone) >= task_.copies_in_zone;
    if (full && (given_up == none || task_.nodes[given_up].zone != zone)) return false;
    const auto at =
        nodes_by_need_[zone].first(seed, [&](index i) { return !has(shard, nodes[i]); });
    if (at != none) found = nodes[at];
    return at != none;
  }));
  return found;
}

void copy_planner::add(index shard, index node) {
  copies_[shard].push_back(node);
  on_node_[node].push_back(shard);
  ++load_[node];
  changed(node);
}

void copy_planner::remove(index shard, index node) {
  std::erase(copies_[shard], node);
  --load_[node];
  changed(node);
}

void copy_planner::changed(index node) {
  const auto zone = task_.nodes[node].zone;
  auto& nodes = nodes_by_need_[zone];
  const auto was = nodes.need(place_in_zone_[node]);
  const auto is = load_[node] < quota_[node] ? quota_[node] - load_[node] : 0;
  if (was == is) return;
  nodes.set(place_in_zone_[node], is);
  zones_by_need_.set(zone, zones_by_need_.need(zone) - was + is);
}

} // namespace warp::cluster::placement
