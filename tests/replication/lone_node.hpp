#pragma once

#include "cluster/shard_hosts.hpp"
#include "tests/replication/host_world.hpp"
#include "tests/support/faulty_file_system.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

namespace warp::testing {

/// A node that is the whole cluster: it has the only copy of each shard, whose sets of one never
/// wait for anybody but the disk. Rounds of the log happen when settle() is called, or on a thread
/// of the test's.
class lone_node {
public:
  explicit lone_node(std::uint32_t shards) { start(shards); }
  ~lone_node() { engine().set_executor(nullptr); }

  [[nodiscard]] storage::engine& engine() { return *db_; }
  [[nodiscard]] cluster::shard_hosts& hosts() { return *hosts_; }
  standing_clock& clock() { return *clock_; }

  /// One round of each stream, and what comes of it.
  void settle();
  /// Somebody else is in the place of this node, of one shard.
  void depose(shard_id shard);
  [[nodiscard]] std::uint64_t times_told() const { return listener_.told.load(); }

private:
  struct surroundings final : cluster::replication_surroundings {
    cluster::replication::moment now() override { return 3'600 * cluster::replication::seconds; }
    void send(cluster::replication::node_id, cluster::replication::message) override {}
    void read_authority() override { asked = true; }
    void compare_and_set(std::uint64_t, const cluster::replication::authority& value) override {
      set = value;
      was_set = true;
    }
    void offer_checkpoint(cluster::replication::node_id, epoch_t) override {}
    void loss_decided(const op_status&) override {}
    void checkpoint_outdated() override {}
    void serving(bool, epoch_t) override {}
    void halted(const op_status&) override {}

    bool asked = false, was_set = false;
    cluster::replication::authority set, key;
    std::uint64_t revision = 1;
  };
  struct counting final : storage::round_listener {
    void on_round() noexcept override { told.fetch_add(1); }
    std::atomic<std::uint64_t> told{0};
  };
  void start(std::uint32_t shards);

  faulty_file_system files_;
  std::shared_ptr<standing_clock> clock_ = std::make_shared<standing_clock>();
  std::unique_ptr<storage::engine> db_;
  std::unique_ptr<cluster::shard_hosts> hosts_;
  std::vector<std::unique_ptr<surroundings>> around_; ///< by shard
  counting listener_;
};

} // namespace warp::testing
