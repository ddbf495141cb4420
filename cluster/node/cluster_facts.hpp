#pragma once

#include "cluster/cluster_map.hpp"
#include "cluster/etcd/answers.hpp"
#include "cluster/etcd/cluster_config.hpp"
#include "cluster/etcd/desired_placement.hpp"
#include "cluster/etcd/key_names.hpp"
#include "cluster/etcd/node_record.hpp"
#include "cluster/etcd/shard_order.hpp"
#include "cluster/etcd/shard_record.hpp"
#include "messages/status.hpp"

#include <map>
#include <optional>
#include <vector>

namespace warp::cluster {

/// All that etcd says of a cluster, as one list of its keys has shown it.
struct cluster_facts {
  template <class Record>
  struct entry {
    etcd::revision_t revision = 0;
    Record value;
  };
  std::optional<entry<etcd::cluster_config>> config;
  std::map<replication::node_id, entry<etcd::node_record>> nodes;
  std::map<shard_id, entry<etcd::shard_record>> shards;
  std::map<shard_id, entry<etcd::shard_order>> orders;
  std::optional<entry<etcd::desired_placement>> desired;
  /// What could not be read, each with its key and why: it was edited by hand, or by a newer
  /// version. The rest holds.
  std::vector<op_status> refused;
};

/// Pure.
[[nodiscard]] cluster_facts read_facts(const etcd::key_names& names,
                                       const etcd::range_answer& list);
[[nodiscard]] cluster_map make_map(const cluster_facts& facts, std::string name,
                                   replication::node_id self, std::uint32_t shards);
/// Who lives, as a copy of a shard wants to know it: a node's copies have boots of their own, which
/// are taken from the authority where they are of the start that `nodes/` tells of. Without `self`,
/// and without nodes where nobody listens.
[[nodiscard]] std::vector<replication::member>
live_members(const cluster_facts& facts, const etcd::shard_record& authority,
             replication::node_id self, const std::vector<replication::node_id>& refusing);

} // namespace warp::cluster
