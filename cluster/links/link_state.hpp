#pragma once

#include "cluster/links/link_options.hpp"
#include "cluster/links/node_identity.hpp"
#include "cluster/links/outbox.hpp"

#include <caf/actor_addr.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace warp::cluster::links {

class link_stream;

/// What has gone over the links to one peer since the network was made.
struct link_counters {
  std::atomic<std::uint64_t> envelopes_sent{0}, messages_sent{0}, bytes_sent{0};
  std::atomic<std::uint64_t> envelopes_received{0}, messages_received{0}, bytes_received{0};
  std::atomic<std::uint64_t> dropped_away{0}; ///< messages: the peer was not linked, or got lost
  std::atomic<std::uint64_t> dropped_full{0}; ///< messages: the outbox was full
  std::atomic<std::uint64_t> established{0}, lost{0};
  std::atomic<std::uint64_t> malformed{0}; ///< links given up for what the peer had sent
  /// Until the peer had taken what was sent before a sign of life: mean, decaying.
  std::atomic<std::uint64_t> round_trip_us{0};
};

/// One peer as the network knows it: outlives the actors that drive its link. Thread-safe.
class link_state {
public:
  link_state(node_id node, const link_options& options)
      : node_(node), outbox_(options.outbox_bytes) {}

  [[nodiscard]] node_id node() const { return node_; }
  link_counters counters;

  // -- for senders ------------------------------------------------------------------------------

  /// Takes messages into the outbox, in order. unavailable: the peer is away, all are dropped;
  /// overloaded: those that found no room are. `flush`: the link that the caller has to flush, null
  /// if somebody does so already.
  op_status push(std::vector<shard_message>&& messages, std::shared_ptr<link_stream>& flush);

  // -- for the network --------------------------------------------------------------------------

  /// None: not to be dialled or let in any more.
  void set_address(std::optional<peer_address> address);
  [[nodiscard]] std::optional<peer_address> address() const;
  /// The link's actor, if it lives.
  [[nodiscard]] caf::actor_addr link() const;

  struct view {
    std::optional<peer_address> address;
    std::optional<node_identity> identity;
    op_status reason;
    bool refused = false;
    std::size_t waiting_messages = 0, waiting_bytes = 0;
    std::shared_ptr<link_stream> stream; ///< null: not linked
  };
  [[nodiscard]] view now() const;

  // -- for the link's actor and the agent -------------------------------------------------------

  /// A link's actor begins, or none lives any more. What the one before it was linked by.
  std::shared_ptr<link_stream> adopt(caf::actor_addr link);
  /// Whether this may be the peer (judge_boot); from then on it is whom we have heard.
  op_status accept(const node_identity& peer);
  void linked(std::shared_ptr<link_stream> stream);
  /// The link is down; what waits is dropped. False: nothing new about it.
  bool down(const op_status& reason, bool refused);
  /// What to send next; nothing: the next push() has to flush.
  [[nodiscard]] std::vector<shard_message> take(std::size_t bytes);

private:
  const node_id node_;
  mutable std::mutex mutex_;
  std::optional<peer_address> address_;
  caf::actor_addr link_;
  std::shared_ptr<link_stream> stream_; ///< null: not linked
  bool flushes_ = false;                ///< somebody goes on until take() finds nothing
  std::optional<node_identity> heard_;
  op_status reason_{op_code::unavailable, "not tried yet"};
  bool refused_ = false;
  outbox outbox_;
};

} // namespace warp::cluster::links
