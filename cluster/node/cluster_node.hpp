#pragma once

#include "actors/service.hpp"
#include "cluster/cluster_map.hpp"
#include "cluster/etcd/client.hpp"
#include "cluster/etcd/client_options.hpp"
#include "cluster/etcd/key_names.hpp"
#include "cluster/etcd/lease_keeper.hpp"
#include "cluster/etcd/prefix_watch.hpp"
#include "cluster/links/checkpoint_server.hpp"
#include "cluster/links/link_listener.hpp"
#include "cluster/links/link_options.hpp"
#include "cluster/links/peer_network.hpp"
#include "cluster/node/checkpoint_couriers.hpp"
#include "cluster/node/cluster_facts.hpp"
#include "cluster/node/node_file.hpp"
#include "cluster/node/primary_balancer.hpp"
#include "cluster/shard_hosts.hpp"
#include "storage/engine.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace warp::cluster {

struct cluster_node_options {
  std::string cluster; ///< its name
  replication::node_id id;
  std::string zone; ///< what fails together; "": not said
  etcd::connection_options etcd;
  links::link_options links;               ///< listen, TLS
  links::peer_address checkpoints;         ///< where others fetch checkpoints; port 0: a free one
  std::string advertise;                   ///< host that others and clients use; "": as listened on
  std::chrono::milliseconds lease{10'000}; ///< of `nodes/<id>`, at least 2 s
};

/// Where clients find this node: "host:port", with the port that is listened on; "": not served.
struct client_addresses {
  std::string rpc, resp, http;
};

/// A node of a cluster: joins the copies of its shards (shard_hosts), the links to other nodes, and
/// etcd, which says who may serve what.
///
///     etcd  --(list, when its watch rings)--> facts --> the map, the machines, placement
///     links --(messages)--> the machines --(messages, compare-and-set)--> links, etcd
///     the log --(a round)--> the machines
///
/// A service: it starts before the servers of clients and is stopped behind them, and before the
/// engine is closed. Nothing is served until etcd has answered once; from then on etcd may be away.
/// It starts once in a process: whatever ends it ends the process, as the copies have a boot each.
class cluster_node final : public actors::service,
                           public cluster_view,
                           private links::link_listener,
                           private storage::round_listener,
                           private turn_listener {
public:
  /// The engine has options.replicated, and outlives it. `fatal` is called, on any thread, when
  /// this node must end: something is wrong that no retry heals. invalid_argument: options that
  /// make no sense, or the data folder is another node's; io_error, no_space.
  static op_result<std::shared_ptr<cluster_node>>
  make(cluster_node_options options, storage::engine& engine,
       std::function<void(const std::string&)> fatal);
  ~cluster_node() override;

  /// The ports of clients are open: the node may be known to the cluster.
  void announce(client_addresses addresses);
  /// Before a planned stop, while the ports of clients are open: gives what this node serves to
  /// copies in sync on nodes that live (R12), so that nobody waits for a lease to run out. Returns
  /// when nothing is served any more, or cannot be given away within `bound`. Blocks.
  void hand_over(std::chrono::milliseconds bound);
  /// After engine::close() that was ok: copies may take up their seats alone again (R11).
  [[nodiscard]] op_status mark_stopped();

  // -- actors::service --------------------------------------------------------------------------
  [[nodiscard]] std::string name() const override { return "cluster"; }
  op_status start() override;
  void stop(std::chrono::steady_clock::time_point deadline) override;
  [[nodiscard]] op_status health() const override;
  void collect(std::vector<actors::metric>& out) const override;

  // -- cluster_view -----------------------------------------------------------------------------
  [[nodiscard]] std::shared_ptr<const cluster_map> map() const override;
  [[nodiscard]] bool serves(shard_id shard) const noexcept override {
    return hosts_->serves(shard);
  }

private:
  class shard_port;
  struct event_for {
    shard_id shard;
    replication::replica_event what;
  };
  struct counters {
    std::atomic<std::uint64_t> take_overs{0}, reigns_ended{0}, changes{0}, changes_lost{0},
        changes_unknown{0}, lists{0}, moves{0}, losses_accepted{0}, keys_refused{0};
  };

  cluster_node(cluster_node_options options, storage::engine& engine, etcd::key_names names,
               node_file file, std::function<void(const std::string&)> fatal);

  // The life of a node: cluster_node.cpp
  void run();
  [[nodiscard]] bool wait_for_config(etcd::cluster_config& config);
  [[nodiscard]] op_status accept(const etcd::cluster_config& config);
  [[nodiscard]] op_status open_links(const etcd::cluster_config& config);
  [[nodiscard]] op_status open_copies(const etcd::cluster_config& config);
  void pump();
  void tick(replication::moment now);
  [[nodiscard]] bool give_away(shard_id shard, const cluster_map& map);
  void post(event_for what);
  void give_up(const std::string& why);
  [[nodiscard]] bool rest(std::chrono::milliseconds time); ///< false: the node stops
  void say(op_status condition);

  // link_listener, round_listener, turn_listener
  void on_messages(replication::node_id from, std::vector<links::shard_message> messages) override;
  void on_link(const links::link_event& what) override;
  void on_round() noexcept override;
  void on_turn() noexcept override;
  void tell_of_round();
  void on_answers() noexcept override {}
  void turn_begins() noexcept override;
  void turn_ends() noexcept override;
  void send(replication::node_id to, links::shard_message what);

  // Facts from etcd: node_facts.cpp
  void ring(const etcd::doorbell& bell);
  void list();
  void take(op_result<etcd::range_answer> got);
  void tell_machines(const cluster_facts& facts);
  void tell_who_lives(const cluster_facts& facts);
  void tell_placement(const cluster_facts& facts);
  void take_orders(const cluster_facts& facts);
  void answer_order(shard_id shard, const op_status& what);
  void read_shard(shard_id shard);
  void change_shard(shard_id shard, std::uint64_t revision, const replication::authority& value);
  [[nodiscard]] bool wait_until_registered();
  [[nodiscard]] op_status put_record(etcd::lease_id_t lease);
  void on_lease(const etcd::lease_news& news);
  void renew_record(replication::moment now);
  [[nodiscard]] etcd::node_record own_record() const;

  const cluster_node_options options_;
  storage::engine& engine_;
  storage::file_system& files_;
  const etcd::key_names names_;
  node_file file_;
  const std::function<void(const std::string&)> fatal_;
  counters counts_;

  std::unique_ptr<shard_hosts> hosts_;
  std::vector<std::unique_ptr<shard_port>> ports_;
  const std::unique_ptr<std::atomic<bool>[]> installing_; ///< by shard: its lock is held for long
  std::atomic<bool> copies_open_{false};

  std::unique_ptr<etcd::client> etcd_;
  std::unique_ptr<etcd::prefix_watch> watch_;
  std::unique_ptr<etcd::lease_keeper> lease_;
  std::unique_ptr<links::peer_network> network_;
  std::unique_ptr<links::checkpoint_server> checkpoints_;
  std::unique_ptr<checkpoint_couriers> couriers_;

  mutable std::mutex mutex_; ///< of all that follows
  std::condition_variable wake_;
  bool started_ = false, stops_ = false;
  std::atomic<bool> round_{false}; ///< the machines have not been told of a round of the log
  std::vector<event_for> events_;
  bool list_wanted_ = false, list_under_way_ = false;
  std::optional<client_addresses> addresses_;
  std::optional<cluster_facts> facts_; ///< the newest
  std::shared_ptr<const cluster_map> map_;
  std::vector<replication::node_id> refusing_;  ///< nobody listens there
  std::map<shard_id, etcd::revision_t> told_;   ///< revision of the authority that a machine knows
  std::map<shard_id, etcd::revision_t> orders_; ///< under way, by the revision of the order
  std::uint32_t min_isr_told_ = 0;
  etcd::lease_id_t lease_id_ = 0;
  bool registered_ = false;
  replication::moment renewed_at_ = 0;
  op_status condition_{op_code::unavailable, "the cluster has not been asked yet"};
  std::vector<std::string> complained_; ///< of keys that could not be read

  primary_balancer balancer_;
  std::thread thread_;
};

} // namespace warp::cluster
