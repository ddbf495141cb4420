#include "cluster/links/peer_link.hpp"

#include "cluster/links/link_dial.hpp"
#include "cluster/links/link_handshake.hpp"
#include "cluster/links/link_messages.hpp"
#include "cluster/links/link_stream.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <random>
#include <utility>

namespace warp::cluster::links {

namespace {

/// Connects, and says hello where that is ours to do. Blocks.
link_attempt try_to_link(const network_core& core, node_id peer, const peer_address& address) {
  auto got = dial(address, core.options.tls, core.options.dial_max);
  link_attempt attempt{std::move(got.status), got.refused, {}};
  if (!attempt.status.ok() || core.self.node > peer) return attempt;
  const auto until =
      std::chrono::steady_clock::now() + core.options.dial_max + core.options.silence_max;
  const auto answer = introduce(*got.socket, core.self, until);
  if (!answer.ok()) {
    attempt.status = {op_code::unavailable, fmt::format("it does not answer as a node does: {}",
                                                        answer.status().message())};
    return attempt;
  }
  attempt.status = answer->status;
  if (attempt.status.ok()) attempt.status = judge_peer(core.self, answer->identity);
  if (attempt.status.ok() && answer->identity.node != peer)
    attempt.status = {op_code::invalid_argument,
                      fmt::format("node {} answers at the address of node {}",
                                  answer->identity.node.value, peer.value)};
  if (attempt.status.ok())
    attempt.met = std::make_shared<linked_peer>(answer->identity, std::move(got.socket));
  return attempt;
}

class link : public std::enable_shared_from_this<link> {
public:
  link(caf::event_based_actor* self, std::shared_ptr<network_core> core,
       std::shared_ptr<link_state> state)
      : self_(self), core_(std::move(core)), state_(std::move(state)),
        pause_(core_->options.retry_min), random_(std::random_device{}()) {}

  caf::behavior behavior() {
    const auto me = shared_from_this();
    if (const auto before = state_->adopt(self_->address())) {
      const op_status why{op_code::unavailable, "the link was restarted"};
      before->end(why, true);
      tell_down(why, false);
    }
    dial_now();
    beat();
    return {
        [me](dial_atom, std::uint64_t attempt) {
          if (attempt == me->attempt_) me->dial_now();
        },
        [me](tried_atom, std::uint64_t attempt, const link_attempt_ptr& what) {
          if (!me->stream_ && attempt == me->attempt_) me->on_tried(*what);
        },
        [me](attach_atom, const linked_peer_ptr& met) { me->begin(*met); },
        [me](lost_atom, std::uint64_t session, std::uint8_t code, const std::string& text) {
          if (session == me->session_) me->lose({static_cast<op_code>(code), text}, true);
        },
        [me](beat_atom) { me->beat(); },
        [me](look_atom) { me->look(); },
    };
  }

private:
  [[nodiscard]] const link_options& options() const { return core_->options; }
  [[nodiscard]] std::uint32_t peer() const { return state_->node().value; }

  // -- getting linked ---------------------------------------------------------------------------

  void dial_now() {
    const auto address = state_->address();
    if (stream_ || !address) return;
    const auto attempt = ++attempt_;
    const auto me = caf::actor_cast<caf::actor>(self_);
    // On a thread of its own: it waits for the network.
    self_->spawn<caf::detached>([me, attempt, address = *address, core = core_,
                                 node = state_->node()](caf::event_based_actor* dialler) {
      dialler->send(me, tried_atom_v, attempt,
                    std::make_shared<link_attempt>(try_to_link(*core, node, address)));
    });
  }

  void on_tried(link_attempt& what) {
    auto status = what.status;
    if (status.ok() && !what.met)
      return try_again({op_code::unavailable, "it answers, and has not connected yet"}, false);
    if (status.ok()) status = state_->accept(what.met->peer);
    if (!status.ok()) return try_again(status, what.refused);
    begin(*what.met);
  }

  void try_again(const op_status& why, bool refused) {
    tell_down(why, refused);
    // Jitter: two nodes that lost each other at one moment do not try at one moment.
    const auto full = pause_.count();
    const auto pause =
        std::chrono::milliseconds{full - static_cast<std::int64_t>(random_() % (full / 2 + 1))};
    pause_ = std::min(pause_ * 2, options().retry_max);
    self_->delayed_send(self_, pause, dial_atom_v, ++attempt_);
  }

  void look() {
    if (!state_->address()) {
      ++attempt_;
      const op_status why{op_code::unavailable, "it is no node of the cluster any more"};
      return stream_ ? lose(why, false) : tell_down(why, false);
    }
    if (stream_) return;
    pause_ = options().retry_min;
    dial_now();
  }

  void begin(linked_peer& met) {
    auto loop = core_->loop_of(state_->node());
    if (!met.socket || !state_->address() || !loop) return;
    if (stream_) lose({op_code::unavailable, "a new link takes its place"}, false);
    ++attempt_; // what is still being tried is void
    identity_ = met.peer;
    pause_ = options().retry_min;
    const auto me = self_->address();
    auto told = [me, session = ++session_](const op_status& why) {
      if (auto link = caf::actor_cast<caf::actor>(me))
        caf::anon_send(link, lost_atom_v, session, static_cast<std::uint8_t>(why.code()),
                       why.message());
    };
    stream_ = std::make_shared<link_stream>(std::move(met.socket), core_, std::move(loop), state_,
                                            met.peer, std::move(told));
    state_->linked(stream_);
    spdlog::info("node {}: linked to node {} (boot {})", core_->self.node.value, peer(),
                 identity_->boot.value);
    core_->listener.on_link({state_->node(), true, identity_, {}, false});
    stream_->start();
    stream_->beat();
  }

  // -- losing it --------------------------------------------------------------------------------

  void lose(const op_status& why, bool dial_again) {
    if (!stream_) return;
    ++session_; // what it says of its end is known
    std::exchange(stream_, {})->end(why, true);
    if (dial_again)
      try_again(why, false);
    else
      tell_down(why, false);
  }

  void tell_down(const op_status& why, bool refused) {
    if (!state_->down(why, refused)) return;
    spdlog::warn("node {}: no link to node {}: {}", core_->self.node.value, peer(), why.message());
    core_->listener.on_link({state_->node(), false, identity_, why, refused});
  }

  void beat() {
    if (stream_) stream_->beat();
    self_->delayed_send(self_, options().heartbeat, beat_atom_v);
  }

  caf::event_based_actor* self_;
  std::shared_ptr<network_core> core_;
  std::shared_ptr<link_state> state_;

  std::uint64_t attempt_ = 0; ///< what belongs to an earlier one is late
  std::chrono::milliseconds pause_;
  std::mt19937_64 random_;

  std::shared_ptr<link_stream> stream_; ///< null: away
  std::uint64_t session_ = 0;           ///< of the stream; what is said of another one is late
  std::optional<node_identity> identity_;
};

} // namespace

actors::child_spec peer_link(std::shared_ptr<network_core> core,
                             std::shared_ptr<link_state> state) {
  auto name = "link-" + std::to_string(state->node().value);
  return {.name = std::move(name),
          .body = [core, state](caf::event_based_actor* self, const actors::child_context&) {
            return std::make_shared<link>(self, core, state)->behavior();
          }};
}

} // namespace warp::cluster::links
