#include "cluster/placement/placement_change.hpp"

#include <algorithm>

namespace warp::cluster::placement {

placement_change change_between(const shard_nodes& from, const shard_nodes& to) {
  using list = std::vector<replication::node_id>;
  static const list none;
  const auto missing = [](const list& a, const list& in) {
    return static_cast<std::size_t>(std::ranges::count_if(
        a, [&](const auto node) { return std::ranges::find(in, node) == in.end(); }));
  };
  placement_change change;
  for (std::size_t s = 0; s < std::max(from.size(), to.size()); ++s) {
    const auto& was = s < from.size() ? from[s] : none;
    const auto& is = s < to.size() ? to[s] : none;
    change.copies_to_make += missing(is, was);
    change.copies_to_drop += missing(was, is);
    if (!was.empty() && !is.empty() && was.front() != is.front()) ++change.primaries_moved;
  }
  return change;
}

} // namespace warp::cluster::placement
