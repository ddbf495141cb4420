#pragma once

#include "cluster/replication/authority.hpp"
#include "messages/status.hpp"

#include <string>
#include <string_view>

namespace warp::cluster::etcd {

/// The key `orders/<s>`: an operator gives up what a node's copy of a shard does not have (R11).
/// Written by `warp cluster accept-loss`, answered in place by that node. Version 1:
///
///     {"version":1,"accept_loss":2,"answer":""}
struct shard_order {
  replication::node_id node; ///< whose copy becomes the truth
  std::string answer;        ///< "": none yet; "ok", or why not
  friend bool operator==(const shard_order&, const shard_order&) = default;
};

/// As of cluster_config.
[[nodiscard]] op_result<shard_order> read_shard_order(std::string_view key, std::string_view value);
[[nodiscard]] std::string to_value(const shard_order& order);

} // namespace warp::cluster::etcd
