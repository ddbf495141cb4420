#pragma once

#include "cluster/replication/authority.hpp"
#include "messages/status.hpp"

#include <string>
#include <string_view>
#include <vector>

namespace warp::cluster::etcd {

/// The key `placement/desired`: where the copies of each shard should be, the preferred primary
/// first. Written by the placement engine, read by movers; the data path never looks at it.
/// Version 1:
///
///     {"version":1,"shards":[[1,2,3],[2,3,1],...]}
struct desired_placement {
  /// By shard, at most 16,384; 1 to 7 nodes each, none twice.
  std::vector<std::vector<replication::node_id>> shards;
  friend bool operator==(const desired_placement&, const desired_placement&) = default;
};

/// As of cluster_config.
[[nodiscard]] op_result<desired_placement> read_desired_placement(std::string_view key,
                                                                  std::string_view value);
[[nodiscard]] std::string to_value(const desired_placement& placement);

} // namespace warp::cluster::etcd
