#include "physics/two_way_cut.hpp"

#include <cassert>

namespace warp::physics {

two_way_cut::two_way_cut(const coaccess_graph& graph, std::span<const double> loads,
                         std::uint64_t seed)
    : graph_(graph), loads_(loads), random_(seed), region_(graph.groups(), 0),
      side_(graph.groups(), 0), gain_(graph.groups(), 0), locked_(graph.groups(), 0),
      stamp_(graph.groups(), 0) {
  assert(loads.size() == graph.groups());
}

void two_way_cut::grow(std::span<const std::uint32_t> members, double target) {
  for (const auto g : members) {
    side_[g] = 1;
    gain_[g] = -inner_weight(g);
    ++stamp_[g];
  }
  queue border;
  double load = 0;
  std::size_t next_seed = random_.below(members.size());
  for (std::size_t tried = 0; load < target;) {
    std::uint32_t group = 0;
    if (!border.empty()) {
      const auto top = border.top();
      border.pop();
      if (side_[top.group] == 0 || top.stamp != stamp_[top.group]) continue;
      group = top.group;
    } else if (tried < members.size()) {
      group = members[next_seed];
      next_seed = (next_seed + 1) % members.size();
      ++tried;
      if (side_[group] == 0) continue;
    } else {
      break;
    }
    // What would lie further beyond the target than it now lies below it stays outside.
    if (load + loads_[group] - target > target - load) {
      ++stamp_[group];
      if (border.empty() && tried >= members.size()) break;
      continue;
    }
    side_[group] = 0;
    load += loads_[group];
    for (const auto& l : graph_.of(group))
      if (region_[l.to] == region_[group] && side_[l.to] == 1) {
        gain_[l.to] += 2 * l.weight;
        border.push({gain_[l.to], l.to, ++stamp_[l.to]});
      }
  }
}

bool two_way_cut::improve(std::span<const std::uint32_t> members, const range& allowed) {
  queue queues[2];
  double load = 0, across_weight = 0;
  for (const auto g : members) {
    locked_[g] = 0;
    if (side_[g] == 0) load += loads_[g];
    gain_[g] = 0;
    bool at_border = false;
    for (const auto& l : graph_.of(g))
      if (region_[l.to] == region_[g]) {
        const bool across = side_[l.to] != side_[g];
        gain_[g] += across ? l.weight : -l.weight;
        at_border |= across;
        if (across) across_weight += l.weight;
      }
    ++stamp_[g];
    if (at_border) queues[side_[g]].push({gain_[g], g, stamp_[g]});
  }
  // Sums of the same weights in another order differ a little: that is no gain.
  const double tie = 1e-6 * across_weight;
  std::vector<std::uint32_t> moved;
  double won = 0, best_won = 0, best_excess = allowed.excess(load);
  const double first_excess = best_excess;
  std::size_t best_length = 0;
  const std::size_t patience = 50 + members.size() / 10;
  while (moved.size() - best_length < patience) {
    // From the side that may give, the better one where both may.
    int from = -1;
    for (const int s : {0, 1}) {
      auto& best = queues[s];
      while (!best.empty() &&
             (locked_[best.top().group] || best.top().stamp != stamp_[best.top().group]))
        best.pop();
      if (best.empty()) continue;
      const double after = load + (s ? 1 : -1) * loads_[best.top().group];
      if (allowed.excess(after) > allowed.excess(load)) continue;
      if (from < 0 || best.top().gain > queues[from].top().gain) from = s;
    }
    if (from < 0) {
      // The best of both sides is too heavy: it stays where it is, lighter ones may follow.
      bool any = false;
      for (auto& side : queues)
        if (!side.empty()) {
          locked_[side.top().group] = 1;
          any = true;
        }
      if (!any) break;
      continue;
    }
    const auto g = queues[from].top().group;
    queues[from].pop();
    locked_[g] = 1;
    load += (from ? 1 : -1) * loads_[g];
    won += gain_[g];
    flip(g, &queues[0]);
    moved.push_back(g);
    const double now_excess = allowed.excess(load);
    if (now_excess < best_excess || (now_excess == best_excess && won > best_won + tie)) {
      best_excess = now_excess;
      best_won = won;
      best_length = moved.size();
    }
  }
  for (std::size_t i = moved.size(); i > best_length; --i) side_[moved[i - 1]] ^= 1;
  return best_won > tie || best_excess < first_excess;
}

void two_way_cut::flip(std::uint32_t g, queue* queues) {
  side_[g] ^= 1;
  for (const auto& l : graph_.of(g)) {
    if (region_[l.to] != region_[g] || locked_[l.to]) continue;
    gain_[l.to] += side_[l.to] == side_[g] ? -2 * l.weight : 2 * l.weight;
    queues[side_[l.to]].push({gain_[l.to], l.to, ++stamp_[l.to]});
  }
}

double two_way_cut::inner_weight(std::uint32_t g) const noexcept {
  double sum = 0;
  for (const auto& l : graph_.of(g))
    if (region_[l.to] == region_[g]) sum += l.weight;
  return sum;
}

double two_way_cut::cut_of(std::span<const std::uint32_t> members) const noexcept {
  double sum = 0;
  for (const auto g : members)
    if (side_[g] == 0)
      for (const auto& l : graph_.of(g))
        if (region_[l.to] == region_[g] && side_[l.to] == 1) sum += l.weight;
  return sum;
}

} // namespace warp::physics
