#pragma once

#include "cluster/node/cluster_node.hpp"

namespace warp::cluster {

/// What the copy of one shard sees of its node. Called under the copy's lock.
class cluster_node::shard_port final : public replication_surroundings {
public:
  shard_port(cluster_node& node, shard_id shard) : node_(node), shard_(shard) {}

  replication::moment now() override;
  void send(replication::node_id to, replication::message what) override;
  void read_authority() override;
  void compare_and_set(std::uint64_t compared_revision,
                       const replication::authority& value) override;
  void offer_checkpoint(replication::node_id to, epoch_t max_epoch) override;
  void loss_decided(const op_status& what) override;
  void checkpoint_outdated() override;
  void serving(bool begins, epoch_t epoch) override;
  void halted(const op_status& why) override;

private:
  cluster_node& node_;
  const shard_id shard_;
};

/// CLOCK_BOOTTIME, which goes on while the machine sleeps.
[[nodiscard]] replication::moment boot_time();

} // namespace warp::cluster
