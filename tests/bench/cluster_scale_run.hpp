#pragma once

#include "cluster/placement/plan_placement.hpp"

#include <cstdint>
#include <vector>

namespace warp::bench {

/// A cluster of real machines (cluster/replication), as many as there are copies, that loses nodes:
/// how long its shards are without a primary, and how long placement takes to give each its copies
/// again, data aside. One thread, virtual time: messages take 0.2 to 1 ms, a sync 1 ms, etcd does
/// one thing after the other.
struct scale_run {
  cluster::placement::shard_nodes plan, after; ///< before the loss, and as it is to be then
  std::vector<cluster::replication::node_id> lost;
  double change_us = 570; ///< etcd's time for a compare-and-set
  double read_us = 100;   ///< and for a read of a key
};

struct scale_figures {
  double served_s = 0;        ///< from the loss until every shard is served
  double served_half_s = 0;   ///< and until half of those are that had lost their primary
  double whole_s = 0;         ///< from the new plan until every shard has the members it names
  std::uint64_t changes = 0;  ///< of keys, from the loss until all is whole
  std::uint64_t asked = 0;    ///< compare-and-sets that etcd was asked for
  std::uint64_t reads = 0;    ///< of keys
  double etcd_waits_s = 0;    ///< the longest that something waited for etcd
  std::uint64_t given_up = 0; ///< requests that would have waited for it for more than 3 s
  bool ended = false;         ///< false: not whole within a minute
};

[[nodiscard]] scale_figures run(const scale_run& what);

} // namespace warp::bench
