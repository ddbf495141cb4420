#pragma once

#include "cluster/replication/replica.hpp"
#include "tests/simulation/invariants.hpp"
#include "tests/simulation/model_client.hpp"
#include "tests/simulation/model_disk.hpp"
#include "tests/simulation/model_etcd.hpp"
#include "tests/simulation/model_network.hpp"
#include "tests/simulation/model_table.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace warp::testing {

class model_node;

/// What all nodes of a run share.
struct simulation_world {
  event_queue& queue;
  model_network& network;
  model_etcd& etcd;
  invariants& judge;
  cluster::replication::replication_options options;
  std::vector<std::unique_ptr<model_node>> nodes;
  std::function<void(std::uint32_t client, std::size_t from, client_reply)> reply;
  /// A line for the trace; empty when nobody wants one.
  std::function<void(std::string)> trace;
  std::uint64_t fingerprint = 0; ///< of everything that has happened
  std::size_t reigns = 0, take_overs = 0, checkpoints_installed = 0, moves = 0;

  /// Text is made only where there is a trace.
  template <class Text>
  void note(Text&& text) {
    if (trace) trace(text());
  }
};

/// A process with one copy of the shard, its disk and its clock: the wiring of a replica, as small
/// as it can be. What happens to it while it is paused happens when it goes on.
class model_node {
public:
  model_node(simulation_world& world, std::uint64_t seed, std::size_t number, double clock_rate);

  // What befalls it
  void start();
  void crash();
  void stop_cleanly();
  void pause(event_queue::time how_long);
  void slow_disk(event_queue::time until, event_queue::time sync_us);
  void fail_next_sync() { sync_fails_ = true; }
  void take_checkpoint();
  void damage();
  void move_to(std::size_t target, bool leave);

  // What it hears
  void receive(const cluster::replication::message& m);
  void receive(const client_request& request);
  void receive(std::shared_ptr<const model_checkpoint> checkpoint, epoch_t max_epoch);
  void ring();

  [[nodiscard]] bool is_up() const { return machine_.has_value(); }
  [[nodiscard]] bool serves() const { return machine_ && machine_->serves(); }
  [[nodiscard]] const cluster::replication::replica& machine() const { return *machine_; }
  [[nodiscard]] node_view view() const {
    return {machine_ ? &*machine_ : nullptr, &disk_, &table_};
  }

private:
  [[nodiscard]] cluster::replication::moment clock() const;
  /// Runs something of this process: not after its end, and not while it is paused.
  void run(std::uint64_t life, std::function<void()> what);
  void after(event_queue::time delay, std::function<void()> what);
  void feed(cluster::replication::replica_event e);
  void perform(cluster::replication::replica_action& a);
  void sync();
  void tick();
  void list_nodes();
  void apply(lsn_t lsn);
  void read_reply(const client_request& request, client_reply reply, lsn_t depends_on);
  void reply(std::uint32_t client, client_reply what);

  simulation_world& world_;
  sim_random random_, disk_random_;
  std::size_t number_;
  double rate_;
  cluster::replication::moment clock_begin_;
  std::uint64_t boots_ = 0, life_ = 0;
  std::optional<cluster::replication::replica> machine_;
  model_disk disk_;
  model_table table_;
  lsn_t applied_ = 0;
  std::shared_ptr<const model_checkpoint> incoming_;
  epoch_t incoming_epoch_ = 0;
  event_queue::time paused_until_ = 0, slow_until_ = 0, slow_sync_us_ = 0;
  bool syncing_ = false, sync_wanted_ = false, sync_fails_ = false;
  std::uint64_t tokens_ = 0;
  struct open_request {
    client_request request;
    client_reply reply;
    model_effect effect;
  };
  std::map<std::uint64_t, open_request> open_;
};

} // namespace warp::testing
