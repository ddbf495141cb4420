#pragma once

#include "tests/simulation/model_copy.hpp"
#include "tests/simulation/simulation_world.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace warp::testing {

/// A process with a copy of each shard, their one write-ahead log, and its clock. What happens to
/// it while it is paused happens when it goes on. All that its copies say to one node at one moment
/// travels in one packet, so that a heartbeat is one packet for each pair of nodes.
class model_node {
public:
  using packet = std::vector<std::pair<std::size_t, cluster::replication::message>>; ///< by shard

  model_node(simulation_world& world, std::uint64_t seed, std::size_t number, double clock_rate);

  // What befalls it
  void start();
  void crash();
  void stop_cleanly();
  void pause(event_queue::time how_long);
  void slow_disk(event_queue::time until, event_queue::time sync_us);
  void fail_next_sync() { sync_fails_ = true; }
  /// An operator makes a damaged copy whole, with what can still be read.
  void repair(std::size_t shard);

  // What it hears
  void receive(const packet& p);
  void receive(std::size_t shard, std::size_t from,
               const cluster::replication::transfer_message& m);
  void receive(const client_request& request);
  void ring(std::size_t shard);

  [[nodiscard]] bool is_up() const { return up_; }
  [[nodiscard]] std::size_t number() const { return number_; }
  [[nodiscard]] model_copy& copy(std::size_t shard) { return *copies_[shard]; }
  [[nodiscard]] const model_copy& copy(std::size_t shard) const { return *copies_[shard]; }

  // For its copies
  [[nodiscard]] cluster::replication::moment clock() const;
  void after(event_queue::time delay, std::function<void()> what);
  /// Wraps what a later answer does: nothing after the end of this life, later while paused.
  void run(std::uint64_t life, std::function<void()> what);
  [[nodiscard]] std::uint64_t life() const { return life_; }
  void say(std::size_t to, std::size_t shard, cluster::replication::message m);
  [[nodiscard]] std::uint64_t next_wal_order() { return ++written_; }
  void want_sync();

private:
  void end(bool cleanly);
  void sync();
  void tick();

  simulation_world& world_;
  sim_random random_, disk_random_;
  std::size_t number_;
  double rate_;
  cluster::replication::moment clock_begin_;
  std::uint64_t life_ = 0;
  bool up_ = false;
  std::vector<std::unique_ptr<model_copy>> copies_;
  std::map<std::size_t, packet> outbox_;
  std::uint64_t written_ = 0, synced_ = 0; ///< places in the write-ahead log
  event_queue::time paused_until_ = 0, slow_until_ = 0, slow_sync_us_ = 0;
  bool syncing_ = false, sync_wanted_ = false, sync_fails_ = false;
};

} // namespace warp::testing
