#pragma once

#include "actors/service.hpp"
#include "actors/tree.hpp"
#include "cluster/links/envelope.hpp"
#include "cluster/links/link_listener.hpp"
#include "cluster/links/link_options.hpp"
#include "cluster/links/node_identity.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace warp::cluster::links {

class network_core;

/// One link as it stands.
struct link_report {
  node_id node;
  std::optional<peer_address> address; ///< none: no node of the cluster any more
  bool linked = false;
  std::optional<node_identity> identity; ///< as heard last
  op_status reason;                      ///< of a link that is down
  bool refused = false;                  ///< as in link_event
  std::uint64_t envelopes_sent = 0, messages_sent = 0, bytes_sent = 0;
  std::uint64_t envelopes_received = 0, messages_received = 0, bytes_received = 0;
  std::uint64_t dropped_away = 0, dropped_full = 0;
  std::uint64_t established = 0, lost = 0, malformed = 0;
  std::uint64_t round_trip_us = 0;
  std::uint64_t unacknowledged_bytes = 0, waiting_bytes = 0, waiting_messages = 0;
};

/// The network between the nodes of a cluster: what a replication machine wants sent goes in by
/// send(), what others have sent comes out at the listener. cluster_node drives it and shows its
/// metrics.
///
/// Messages travel as Cap'n Proto envelopes, many shards' messages in one, on a connection for each
/// pair of nodes; links (peer_link.hpp) keep the order of one peer's Appends and that of its
/// answers, and lose messages only where a peer is away, slow (overloaded) or its link breaks.
/// Nothing is repeated: the machines resend. A node of another cluster, of another format, with a
/// wrong certificate or with an id that is taken is refused, and both sides log why.
///
/// The actors that keep links are CAF's, in a system of their own, so that it can be stopped and
/// started again without the universe. What links carry goes past them: over CAF's own network a
/// small message and its answer took three times as long (tests/bench/links_bench.cpp), announced
/// lengths were believed up to 4 GiB, and by TLS one connection that failed broke others.
///
/// With TLS the files are read again for each connection: replace them by renaming.
///
/// send(), wake(), set_peer(), forget_peer(), report() and collect() may be called by any thread at
/// any time.
class peer_network final : public actors::service {
public:
  /// The listener outlives the network, or its last stop(). invalid_argument: identity or options
  /// that make no sense, TLS files that cannot be read.
  static op_result<std::unique_ptr<peer_network>> make(node_identity self, link_options options,
                                                       link_listener& listener);
  ~peer_network() override;

  /// Where another node listens: links to it, or from it, begin now. A changed address is taken
  /// when the link breaks.
  void set_peer(node_id peer, peer_address address);
  /// The node is none of the cluster any more: its link ends, it is let in no more.
  void forget_peer(node_id peer);

  /// Queues messages of this node's copies for another node; does not wait. unavailable: the node
  /// is away, all are dropped. overloaded: those that found no room are. not_found: nobody has
  /// named this node. Either way the machines send again what matters.
  op_status send(node_id to, shard_id shard, replication::message what);
  /// The same for many shards at once, as of a round of heartbeats: they leave in one envelope, or
  /// in as few as their size takes.
  op_status send(node_id to, std::vector<shard_message> messages);

  /// Has link_listener::on_turn() called soon, on a thread of the network, if it runs.
  void wake() noexcept;

  [[nodiscard]] std::vector<link_report> report() const;
  /// That is listened on; 0: not started.
  [[nodiscard]] std::uint16_t port() const;
  /// The actors of the network: "node-links", "node-links/agent", "node-links/link-2", ...
  [[nodiscard]] std::vector<actors::tree_node> tree() const;
  /// Ends one of them on purpose; its supervisor starts it again. False: nothing alive there.
  bool kill(std::string_view path);

  // -- actors::service --------------------------------------------------------------------------

  [[nodiscard]] std::string name() const override { return "node-links"; }
  op_status start() override;
  void stop(std::chrono::steady_clock::time_point deadline) override;
  [[nodiscard]] op_status health() const override;
  void collect(std::vector<actors::metric>& out) const override;

private:
  struct running;
  explicit peer_network(std::shared_ptr<network_core> core);

  std::shared_ptr<network_core> core_;
  std::unique_ptr<running> running_;
};

} // namespace warp::cluster::links
