#pragma once

#include "cluster/replication/replica.hpp"
#include "tests/simulation/model_checkpoint.hpp"
#include "tests/simulation/model_client.hpp"
#include "tests/simulation/model_disk.hpp"
#include "tests/simulation/simulation_world.hpp"

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace warp::testing {

class model_node;

/// A node's copy of one shard: the wiring of a replica, as small as it can be.
class model_copy {
public:
  model_copy(simulation_world& world, model_node& node, std::uint64_t seed, std::size_t shard);

  // The life of the process
  void start();
  void end(std::uint64_t wal_order, sim_random& disk_random);
  void stop_cleanly();
  void tick();
  void synced(std::uint64_t wal_order);

  // What befalls the copy
  void take_checkpoint();
  void damage();
  void repair(sim_random& random);
  void move_to(std::size_t target, bool leave);
  void want(const std::vector<cluster::replication::node_id>& nodes);
  void accept_loss();

  // What it hears
  void receive(const cluster::replication::message& m);
  void receive(std::size_t from, const cluster::replication::transfer_message& m);
  void receive(const client_request& request);
  void ring();

  [[nodiscard]] bool is_up() const { return machine_.has_value(); }
  [[nodiscard]] bool serves() const { return machine_ && machine_->serves(); }
  [[nodiscard]] const cluster::replication::replica& machine() const { return *machine_; }
  [[nodiscard]] const model_disk& disk() const { return disk_; }
  [[nodiscard]] node_view view() const {
    return {machine_ ? &*machine_ : nullptr, &disk_, &table_};
  }

private:
  void feed(cluster::replication::replica_event e);
  void list_nodes();
  void forget();
  void apply(lsn_t lsn);
  void execute();
  void execute(const client_request& request,
               std::vector<cluster::replication::client_write>& writes);
  void read_reply(const client_request& request, client_reply reply, lsn_t depends_on);
  void reply(std::uint32_t client, client_reply what);
  void do_transfer(cluster::replication::transfer_actions actions);
  void send_transfer(std::size_t to, cluster::replication::transfer_message m);
  [[nodiscard]] cluster::replication::boot_id next_boot() {
    return cluster::replication::boot_id{++boots_};
  }
  [[nodiscard]] std::string name() const;

  void on(cluster::replication::action::send& a);
  void on(cluster::replication::action::write_wal& a);
  void on(cluster::replication::action::sync_wal& a);
  void on(cluster::replication::action::read_authority& a);
  void on(cluster::replication::action::compare_and_set& a);
  void on(cluster::replication::action::logged& a);
  void on(const cluster::replication::action::answer& a);
  void on(cluster::replication::action::committed& a);
  void on(cluster::replication::action::undo_pending& a);
  void on(cluster::replication::action::serving& a);
  void on(cluster::replication::action::draw_boot& a);
  void on(cluster::replication::action::offer_checkpoint& a);
  void on(cluster::replication::action::loss_accepted& a);
  void on(cluster::replication::action::loss_refused& a);
  void on(cluster::replication::action::checkpoint_outdated& a);
  void on(cluster::replication::action::broken_rule& a);
  void on(cluster::replication::action::read_log& a);

  simulation_world& world_;
  model_node& node_;
  sim_random random_;
  std::size_t shard_;
  std::uint64_t boots_ = 0;
  std::optional<cluster::replication::replica> machine_;
  std::optional<cluster::replication::checkpoint_receiver> receiver_;
  model_disk disk_;
  model_table table_;
  lsn_t applied_ = 0;
  std::size_t late_to_disk_ = 0; ///< records that were not on disk when nothing was pinned last
  std::shared_ptr<const model_checkpoint> incoming_; ///< whole
  std::shared_ptr<const model_checkpoint> fresh_;    ///< made for somebody who asked
  epoch_t incoming_epoch_ = 0;
  std::uint64_t tokens_ = 0;
  struct open_request {
    client_request request;
    client_reply reply;
  };
  std::map<std::uint64_t, open_request> open_;
  std::vector<client_request> gathered_;
  cluster::replication::action::logged executed_; ///< and not known to be logged
};

} // namespace warp::testing
