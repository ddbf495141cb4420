#include "cluster/links/peer_link.hpp"

#include "actors/status_error.hpp"
#include "cluster/links/hello.hpp"
#include "cluster/links/link_messages.hpp"

#include <caf/io/all.hpp>
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <deque>
#include <random>

namespace warp::cluster::links {

namespace {

using actors::frame;
using clock = std::chrono::steady_clock;

frame to_frame(std::vector<char> bytes) {
  return {std::make_shared<const std::vector<char>>(std::move(bytes))};
}

class link : public std::enable_shared_from_this<link> {
public:
  link(caf::event_based_actor* self, std::shared_ptr<network_core> core,
       std::shared_ptr<link_state> state)
      : self_(self), core_(std::move(core)), state_(std::move(state)),
        pause_(core_->options.retry_min), random_(std::random_device{}()) {}

  caf::behavior behavior() {
    const auto me = shared_from_this();
    self_->set_down_handler([me](const caf::down_msg& m) { me->on_down(m); });
    if (state_->adopt(self_->address()))
      tell_down({op_code::unavailable, "the link was restarted"}, false);
    dial();
    beat();
    return {
        [me](dial_atom, std::uint64_t attempt) {
          if (attempt == me->attempt_) me->dial();
        },
        [me](probed_atom, std::uint64_t attempt, std::uint8_t code, const std::string& text,
             bool refused) {
          me->on_probed(attempt, {static_cast<op_code>(code), text}, refused);
        },
        [me](attach_atom, std::uint64_t session, const frame& hello, const caf::actor& remote) {
          if (auto peer = decode_hello(*hello.data); peer.ok()) me->begin(session, *peer, remote);
        },
        [me](piece_atom, std::uint64_t session, std::uint64_t number, bool last,
             const frame& piece) { me->on_piece(session, number, last, *piece.data); },
        [me](credit_atom, std::uint64_t session, std::uint64_t number) {
          me->on_credit(session, number);
        },
        [me](goodbye_atom, std::uint64_t session, std::uint8_t code, const std::string& text) {
          if (me->remote_ && session == me->session_)
            me->lose({static_cast<op_code>(code), "the peer ends the link: " + text});
        },
        [me](flush_atom) { me->flush(); },
        [me](beat_atom) { me->beat(); },
        [me](look_atom) { me->look(); },
    };
  }

private:
  [[nodiscard]] const link_options& options() const { return core_->options; }
  [[nodiscard]] std::uint32_t peer() const { return state_->node().value; }

  // -- getting linked ---------------------------------------------------------------------------

  void dial() {
    const auto address = state_->address();
    if (remote_ || !address) return;
    const auto attempt = ++attempt_;
    const auto me = caf::actor_cast<caf::actor>(self_);
    // On a thread of its own: it waits for the network.
    self_->spawn<caf::detached>(
        [me, attempt, address = *address, core = core_](caf::event_based_actor* prober) {
          const auto seen = probe(address, core->options.tls, core->options.dial_max);
          prober->send(me, probed_atom_v, attempt, static_cast<std::uint8_t>(seen.status.code()),
                       seen.status.message(), seen.refused);
        });
  }

  void on_probed(std::uint64_t attempt, const op_status& seen, bool refused) {
    if (remote_ || attempt != attempt_) return;
    if (!seen.ok()) return try_again(seen, refused);
    if (core_->self.node > state_->node())
      return try_again({op_code::unavailable, "it answers, and has not connected yet"}, false);
    const auto address = state_->address();
    if (!address) return;
    const auto me = shared_from_this();
    self_
        ->request(door_of(self_->system(), options()), answer_bound(), caf::connect_atom_v,
                  address->host, address->port)
        .then(
            [me, attempt](const caf::node_id&, const caf::strong_actor_ptr& agent,
                          const std::set<std::string>&) {
              me->on_connected(attempt, caf::actor_cast<caf::actor>(agent));
            },
            [me, attempt](const caf::error& e) { me->on_no_answer(attempt, e); });
  }

  [[nodiscard]] std::chrono::milliseconds answer_bound() const {
    return options().dial_max + options().silence_max;
  }

  void on_no_answer(std::uint64_t attempt, const caf::error& e) {
    if (remote_ || attempt != attempt_) return;
    try_again({op_code::unavailable,
               fmt::format("it does not answer as a node does: {}", actors::cause_text(e))},
              false);
  }

  void on_connected(std::uint64_t attempt, const caf::actor& agent) {
    if (remote_ || attempt != attempt_) return;
    if (!agent) return try_again({op_code::unavailable, "it has no agent (yet)"}, false);
    const auto me = shared_from_this();
    const auto session = random_() | 1;
    self_
        ->request(agent, answer_bound(), hello_atom_v, session, to_frame(encode_hello(core_->self)))
        .then(
            [me, attempt, session](const frame& answer, const caf::actor& remote) {
              me->on_answer(attempt, session, answer, remote);
            },
            [me, attempt](const caf::error& e) { me->on_no_answer(attempt, e); });
  }

  void on_answer(std::uint64_t attempt, std::uint64_t session, const frame& bytes,
                 const caf::actor& remote) {
    if (remote_ || attempt != attempt_) {
      say_goodbye(remote, session, {op_code::unavailable, "another link was faster"});
      return;
    }
    const auto answer = decode_answer(*bytes.data);
    auto status = !answer.ok() ? answer.status() : answer->status;
    if (status.ok()) status = judge_peer(core_->self, answer->identity);
    if (status.ok() && answer->identity.node != state_->node())
      status = {op_code::invalid_argument, fmt::format("node {} answers at the address of node {}",
                                                       answer->identity.node.value, peer())};
    if (status.ok()) status = state_->accept(answer->identity);
    if (status.ok() && !remote) status = {op_code::unavailable, "it has no link (yet)"};
    if (!status.ok()) {
      say_goodbye(remote, session, status);
      return try_again(status, false);
    }
    begin(session, answer->identity, remote);
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
      return end({op_code::unavailable, "it is no node of the cluster any more"});
    }
    if (remote_) return;
    pause_ = options().retry_min;
    dial();
  }

  void begin(std::uint64_t session, const node_identity& who, const caf::actor& remote) {
    if (!remote) return;
    if (remote_) lose({op_code::unavailable, "a new link takes its place"}, false);
    ++attempt_; // what is still being tried is void
    remote_ = remote;
    session_ = session;
    identity_ = who;
    self_->monitor(remote_);
    sent_ = received_ = 0;
    uncredited_ = 0;
    in_flight_.clear();
    in_flight_bytes_ = 0;
    outgoing_.clear();
    outgoing_at_ = 0;
    incoming_.clear();
    pause_ = options().retry_min;
    state_->linked();
    spdlog::info("node {}: linked to node {} (boot {})", core_->self.node.value, peer(),
                 who.boot.value);
    core_->listener.on_link({state_->node(), true, who, {}, false});
    flush();
  }

  // -- losing it --------------------------------------------------------------------------------

  void on_down(const caf::down_msg& m) {
    if (remote_ && m.source == remote_.address())
      lose({op_code::unavailable,
            "the connection or the peer ended: " + actors::cause_text(m.reason)});
  }

  /// The session is over; the peer is told why.
  void end(const op_status& why) {
    if (!remote_) return tell_down(why, false);
    say_goodbye(remote_, session_, why);
    lose(why, state_->address().has_value());
  }

  void lose(const op_status& why, bool dial_again = true) {
    if (!remote_) return;
    self_->demonitor(remote_.address());
    remote_ = {};
    session_ = 0;
    incoming_ = {};
    if (dial_again)
      try_again(why, false);
    else
      tell_down(why, false);
  }

  void say_goodbye(const caf::actor& whom, std::uint64_t session, const op_status& why) {
    if (whom)
      self_->send(whom, goodbye_atom_v, session, static_cast<std::uint8_t>(why.code()),
                  why.message());
  }

  void tell_down(const op_status& why, bool refused) {
    if (!state_->down(why, refused)) return;
    spdlog::warn("node {}: no link to node {}: {}", core_->self.node.value, peer(), why.message());
    core_->listener.on_link({state_->node(), false, identity_, why, refused});
  }

  // -- sending ----------------------------------------------------------------------------------

  void flush() {
    while (remote_) {
      const auto rest = outgoing_.size() - outgoing_at_;
      if (rest == 0) {
        if (in_flight_bytes_ >= options().window_bytes) return ask_for_credit();
        const auto messages = state_->take(options().batch_bytes);
        if (messages.empty()) return;
        auto bytes = encode_envelope(core_->self, messages);
        if (!bytes.ok()) {
          spdlog::error("node {}: cannot send to node {}: {}", core_->self.node.value, peer(),
                        bytes.status().message());
          continue;
        }
        ++state_->counters.envelopes_sent;
        state_->counters.messages_sent += messages.size();
        outgoing_ = std::move(*bytes);
        outgoing_at_ = 0;
        continue;
      }
      const auto size = std::min(rest, options().piece_bytes);
      if (in_flight_bytes_ != 0 && in_flight_bytes_ + size > options().window_bytes)
        return ask_for_credit();
      if (size == outgoing_.size()) {
        send_piece(std::exchange(outgoing_, {}), true);
        continue;
      }
      const auto at = outgoing_.begin() + static_cast<std::ptrdiff_t>(outgoing_at_);
      outgoing_at_ += size;
      send_piece({at, at + static_cast<std::ptrdiff_t>(size)}, outgoing_at_ == outgoing_.size());
      if (outgoing_at_ == outgoing_.size()) {
        outgoing_ = {};
        outgoing_at_ = 0;
      }
    }
  }

  void send_piece(std::vector<char> bytes, bool last) {
    in_flight_.push_back({++sent_, bytes.size(), clock::now()});
    in_flight_bytes_ += bytes.size();
    state_->counters.bytes_sent += bytes.size();
    state_->counters.in_flight_bytes = in_flight_bytes_;
    self_->send(remote_, piece_atom_v, session_, sent_, last, to_frame(std::move(bytes)));
  }

  /// The peer says how far it is only now and then, but at once after an empty piece.
  void ask_for_credit() {
    if (!in_flight_.empty() && in_flight_.back().bytes != 0) send_piece({}, true);
  }

  void on_credit(std::uint64_t session, std::uint64_t number) {
    if (!remote_ || session != session_) return;
    while (!in_flight_.empty() && in_flight_.front().number <= number) {
      const auto& taken = in_flight_.front();
      if (taken.number == number) { // the one that was answered
        const auto us =
            std::chrono::duration_cast<std::chrono::microseconds>(clock::now() - taken.sent_at);
        auto& mean = state_->counters.round_trip_us;
        const auto now = static_cast<std::uint64_t>(us.count());
        mean = mean == 0 ? now : (mean * 7 + now) / 8;
      }
      in_flight_bytes_ -= taken.bytes;
      in_flight_.pop_front();
    }
    state_->counters.in_flight_bytes = in_flight_bytes_;
    flush();
  }

  /// An empty piece shows how far the peer is.
  void beat() {
    if (remote_ && (in_flight_.empty() || in_flight_.back().bytes != 0)) send_piece({}, true);
    self_->delayed_send(self_, options().heartbeat, beat_atom_v);
  }

  // -- receiving --------------------------------------------------------------------------------

  void on_piece(std::uint64_t session, std::uint64_t number, bool last,
                const std::vector<char>& bytes) {
    if (!remote_ || session != session_) {
      // We have lost a link that the peer still believes in.
      say_goodbye(caf::actor_cast<caf::actor>(self_->current_sender()), session,
                  {op_code::unavailable, "it does not know this link any more"});
      return;
    }
    if (number != received_ + 1)
      return malformed(fmt::format("piece {} follows piece {}", number, received_));
    received_ = number;
    state_->counters.bytes_received += bytes.size();
    if (bytes.empty()) {
      give_credit(number);
      return;
    }
    if (incoming_.empty() && last) {
      if (!take(bytes)) return;
    } else {
      const auto whole =
          incoming_.empty() ? envelope_bytes(bytes) : bytes.size() + incoming_.size();
      if (whole == 0 || whole > options().envelope_bytes_max)
        return malformed(fmt::format("an envelope of {} bytes, the limit is {}", whole,
                                     options().envelope_bytes_max));
      if (incoming_.empty()) incoming_.reserve(whole);
      incoming_.insert(incoming_.end(), bytes.begin(), bytes.end());
      if (last && !take(std::exchange(incoming_, {}))) return;
    }
    // A message of its own for each piece would be half of all messages.
    uncredited_ += bytes.size();
    if (uncredited_ >= options().window_bytes / 8) give_credit(number);
  }

  void give_credit(std::uint64_t number) {
    uncredited_ = 0;
    self_->send(remote_, credit_atom_v, session_, number);
  }

  bool take(const std::vector<char>& bytes) {
    auto got = decode_envelope(bytes);
    auto status = got.ok() ? op_status{} : got.status();
    if (status.ok() && (got->cluster != core_->self.cluster || got->node != state_->node() ||
                        got->boot != identity_->boot))
      status = {op_code::corruption,
                fmt::format("an envelope of node {} (boot {}) of cluster {:016x}", got->node.value,
                            got->boot.value, got->cluster.value)};
    if (!status.ok()) {
      malformed(status.message());
      return false;
    }
    ++state_->counters.envelopes_received;
    state_->counters.messages_received += got->messages.size();
    core_->listener.on_messages(state_->node(), std::move(got->messages));
    return true;
  }

  void malformed(const std::string& what) {
    ++state_->counters.malformed;
    end({op_code::corruption, fmt::format("node {} sent what it must not: {}", peer(), what)});
  }

  struct piece_in_flight {
    std::uint64_t number;
    std::size_t bytes;
    clock::time_point sent_at;
  };

  caf::event_based_actor* self_;
  std::shared_ptr<network_core> core_;
  std::shared_ptr<link_state> state_;

  std::uint64_t attempt_ = 0; ///< what belongs to an earlier one is late
  std::chrono::milliseconds pause_;
  std::mt19937_64 random_;

  caf::actor remote_; ///< null: away
  std::uint64_t session_ = 0;
  std::optional<node_identity> identity_;
  std::uint64_t sent_ = 0, received_ = 0; ///< numbers of pieces
  std::size_t uncredited_ = 0;            ///< bytes received
  std::deque<piece_in_flight> in_flight_;
  std::size_t in_flight_bytes_ = 0;
  std::vector<char> outgoing_; ///< an envelope that is sent in pieces
  std::size_t outgoing_at_ = 0;
  std::vector<char> incoming_;
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
