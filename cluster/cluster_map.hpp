#pragma once

#include "cluster/replication/authority.hpp"
#include "messages/ids.hpp"
#include "messages/operations.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace warp::cluster {

/// Who serves what, as one node knows it from etcd: a snapshot that nobody changes. May be out of
/// date at any time; who is asked and does not serve says so.
struct cluster_map {
  struct node {
    replication::node_id id;
    std::string zone;
    /// "host:port"; "": not served, or not known.
    std::string rpc, resp, http, links;
    bool live = false; ///< its key in etcd is there: a hint
  };
  struct shard {
    epoch_t epoch = 0; ///< 0: etcd has not said yet
    replication::node_id primary;
    std::vector<replication::node_id> isr; ///< in order; holds the primary
    std::vector<replication::node_id> learners;
  };

  std::string name; ///< of the cluster
  replication::node_id self;
  /// What a write is worth that does not say: `replicated` or `durable`.
  durability level = durability::durable;
  std::vector<node> nodes;   ///< by id: all that have a key in etcd or a place in a shard
  std::vector<shard> shards; ///< by number; shard i has the i-th of as many equal ranges of slots

  [[nodiscard]] const node* find(replication::node_id id) const {
    const auto at = std::ranges::lower_bound(nodes, id, {}, &node::id);
    return at != nodes.end() && at->id == id ? &*at : nullptr;
  }
};

/// What servers ask of the cluster that their node belongs to. Any thread.
class cluster_view {
public:
  virtual ~cluster_view() = default;
  /// The newest snapshot; never null.
  [[nodiscard]] virtual std::shared_ptr<const cluster_map> map() const = 0;
  /// Whether this node serves the shard now: it is its primary and ready (R8). Lock-free.
  [[nodiscard]] virtual bool serves(shard_id shard) const noexcept = 0;
};

} // namespace warp::cluster
