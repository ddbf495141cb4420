#include "cluster/placement/choose_primaries.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <numeric>
#include <utility>

namespace warp::cluster::placement {

namespace {

class primary_chooser {
public:
  primary_chooser(const placement_task& task, const std::vector<std::vector<index>>& copies)
      : task_(task), copies_(copies), chosen_(copies.size(), none), load_(task.nodes.size()),
        on_node_(task.nodes.size()) {
    for (index s = 0; s < copies.size(); ++s)
      for (const auto n : copies[s]) on_node_[n].push_back(s);
  }

  std::vector<index> choose() {
    for (index s = 0; s < copies_.size(); ++s)
      if (is_among(copies_[s], task_.primaries[s])) choose(s, task_.primaries[s]);
    for (index s = 0; s < copies_.size(); ++s)
      if (chosen_[s] == none && !copies_[s].empty()) choose(s, lightest(s));
    std::vector<index> order(task_.nodes.size());
    std::iota(order.begin(), order.end(), index{0});
    for (bool better = true; better;) {
      better = false;
      std::ranges::stable_sort(order, [&](index a, index b) { return is_lighter(a, b); });
      for (const auto n : order)
        while (would_relieve(heaviest(), n) && relieve_by(n)) better = true;
    }
    return std::move(chosen_);
  }

private:
  static bool is_among(const std::vector<index>& all, index one) {
    return std::ranges::find(all, one) != all.end();
  }
  void choose(index shard, index node) {
    if (chosen_[shard] != none) --load_[chosen_[shard]];
    chosen_[shard] = node;
    ++load_[node];
  }
  [[nodiscard]] bool is_lighter(index a, index b) const {
    return load_[a] * task_.nodes[b].weight < load_[b] * task_.nodes[a].weight;
  }
  [[nodiscard]] index heaviest() const {
    index found = 0;
    for (index n = 1; n < load_.size(); ++n)
      if (is_lighter(found, n)) found = n;
    return found;
  }
  /// Whether one primary less here and one more there is more even: by the sum of squares, each
  /// over its node's weight.
  [[nodiscard]] bool would_relieve(index from, index to) const {
    if (load_[from] == 0) return false;
    return (2 * load_[from] - 1) * task_.nodes[to].weight >
           (2 * load_[to] + 1) * task_.nodes[from].weight;
  }
  /// Of those that have the data already, if there are any, who has least.
  [[nodiscard]] index lightest(index shard) const {
    const auto& all = copies_[shard];
    const bool any =
        std::ranges::any_of(all, [&](index n) { return is_among(task_.has[shard], n); });
    index found = none;
    for (const auto n : all) {
      if (any && !is_among(task_.has[shard], n)) continue;
      if (found == none || is_lighter(n, found)) found = n;
    }
    return found;
  }

  /// Follows the shortest chain that ends at a node, from the heaviest it can begin with.
  bool relieve_by(index end) {
    std::vector<index> by(load_.size(), none); ///< the shard that a node would hand over
    std::vector<index> level{end}, next;
    while (!level.empty()) {
      index best = none;
      for (const auto to : level)
        for (const auto s : on_node_[to]) {
          const auto from = chosen_[s];
          if (from == end || by[from] != none) continue;
          by[from] = s;
          taker_[from] = to;
          next.push_back(from);
          if (best == none || is_lighter(best, from)) best = from;
        }
      if (best != none && would_relieve(best, end)) {
        for (auto n = best; n != end; n = taker_[n]) choose(by[n], taker_[n]);
        return true;
      }
      level = std::exchange(next, {});
    }
    return false;
  }

  const placement_task& task_;
  const std::vector<std::vector<index>>& copies_;
  std::vector<index> chosen_;       ///< by shard
  std::vector<std::uint64_t> load_; ///< by node: primaries
  std::vector<std::vector<index>> on_node_;
  std::vector<index> taker_ = std::vector<index>(load_.size(), none);
};

} // namespace

std::vector<index> choose_primaries(const placement_task& task,
                                    const std::vector<std::vector<index>>& copies) {
  return primary_chooser{task, copies}.choose();
}

} // namespace warp::cluster::placement
