#pragma once

#include "cluster/placement/need_order.hpp"
#include "cluster/placement/placement_task.hpp"

#include <vector>

namespace warp::cluster::placement {

/// Brings each node to its quota of copies with few moves: drops what must not be, fills what is
/// missing, and moves from those that have too much to those that have too little. Where no single
/// move helps, the shortest chain of moves over full nodes does: copies, zones and quotas are a
/// flow through a network, which always has room for what the quotas promise.
class copy_planner {
public:
  explicit copy_planner(const placement_task& task);
  /// By shard, who should have a copy: first those that have one, in the same order. Once.
  [[nodiscard]] std::vector<std::vector<index>> plan();

private:
  /// What the chains of reroute() may be made of, cheapest first.
  enum class links {
    restored, ///< copies that were given up are taken back
    fresh,    ///< none that is there is given up but the first
    any,
  };
  struct hop {
    index shard = none, from = none; ///< the shard that took a copy, and from whom
  };

  void trim(index shard);
  void fill(index shard);
  void relieve(index node);
  void move_directly(index node, bool followers_only);
  bool reroute(index lacking, index over, links how);
  bool reroute(index lacking, index over);

  [[nodiscard]] bool has(index shard, index node) const;
  [[nodiscard]] bool accepts(index shard, index given_up, index node) const;
  [[nodiscard]] std::uint32_t in_zone(index shard, index zone) const;
  [[nodiscard]] index neediest(index shard, index given_up) const;
  [[nodiscard]] bool is_over(index node) const { return load_[node] > quota_[node]; }
  void add(index shard, index node);
  void remove(index shard, index node);
  void changed(index node);

  const placement_task& task_;
  std::vector<std::vector<index>> copies_;  ///< by shard
  std::vector<std::vector<index>> on_node_; ///< shards; those that have gone since are among them
  std::vector<std::uint32_t> load_, quota_; ///< by node
  std::vector<index> place_in_zone_;        ///< by node
  std::vector<need_order> nodes_by_need_;   ///< of each zone, by their place in it
  need_order zones_by_need_;                ///< what their nodes need together
  bool dropped_ = false;                    ///< somewhere a copy is given up that may stay
};

} // namespace warp::cluster::placement
