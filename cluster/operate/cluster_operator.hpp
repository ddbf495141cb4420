#pragma once

#include "cluster/etcd/client.hpp"
#include "cluster/etcd/client_options.hpp"
#include "cluster/etcd/key_names.hpp"
#include "cluster/node/cluster_facts.hpp"
#include "cluster/placement/plan_placement.hpp"
#include "messages/ids.hpp"
#include "messages/status.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace warp::cluster {

/// What `warp cluster` does to a cluster: it reads and writes etcd's keys, and nothing else. Nodes
/// see that and bring it about. Every change compares what it was made of, so two operators at once
/// do not undo each other's work: one is told to look again.
///
/// Blocks; one thread. Codes of all calls: unavailable, timed_out (etcd), not_found (no such
/// cluster, node or shard), invalid_argument, already_exists, version_mismatch (somebody else was
/// faster), outcome_unknown (look, and try again).
class cluster_operator {
public:
  static op_result<std::unique_ptr<cluster_operator>> connect(const std::string& cluster,
                                                              etcd::connection_options connection);

  struct plan {
    std::vector<replication::node_id> nodes; ///< at least one
    std::uint32_t shards = 64, rf = 3, min_isr = 2;
    replication::ack_level level = replication::ack_level::durable;
  };
  /// Makes the cluster: its configuration, an empty copy of each shard on the node that is to be
  /// its primary, the others as copies to be filled. already_exists: it is there; a first try that
  /// was cut short is taken up.
  op_status init(const plan& p);

  [[nodiscard]] op_result<cluster_facts> look();

  /// The node takes its share of shards; it should run.
  op_status join(replication::node_id node, const std::string& zone);
  /// The node gives up all its copies, and may be stopped when status shows none.
  op_status leave(replication::node_id node);
  /// Copies of each shard, from now on.
  op_status resize(std::uint32_t rf, std::uint32_t min_isr);
  /// Who is to hold a shard, the preferred primary first.
  op_status move(shard_id shard, const std::vector<replication::node_id>& nodes);
  /// One of its nodes becomes the preferred primary; returns when it is the primary, or timed_out.
  op_status switch_over(shard_id shard, replication::node_id to,
                        std::chrono::milliseconds patience);
  /// R11: what the node's copy does not have is given up. Returns with the node's answer.
  op_status accept_loss(shard_id shard, replication::node_id node,
                        std::chrono::milliseconds patience);

private:
  cluster_operator(etcd::key_names names, std::unique_ptr<etcd::client> client)
      : names_(std::move(names)), etcd_(std::move(client)) {}

  [[nodiscard]] op_status write_placement(const cluster_facts& now,
                                          const placement::shard_nodes& desired);
  [[nodiscard]] op_status replan(const cluster_facts& now,
                                 std::vector<placement::placement_node> nodes);
  [[nodiscard]] op_status put_new(const std::string& key, const std::string& value);

  const etcd::key_names names_;
  const std::unique_ptr<etcd::client> etcd_;
};

} // namespace warp::cluster
