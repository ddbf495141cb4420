#include "cluster/links/link_stream.hpp"

#include "cluster/links/hello.hpp"
#include "cluster/links/link_loop.hpp"

#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <cstring>
#include <new>
#include <utility>

namespace warp::cluster::links {

namespace {

/// Who flushes writes so much for others before the loop's thread goes on with it.
constexpr std::size_t flush_bytes_max = 1u << 20;
/// What is read at one go before the listener gets it, and before other links have their turn.
constexpr std::size_t read_bytes = 256u << 10;

} // namespace

link_stream::link_stream(std::unique_ptr<link_socket> socket, std::shared_ptr<network_core> core,
                         std::shared_ptr<link_loop> loop, std::shared_ptr<link_state> state,
                         node_identity peer, end_listener told)
    : core_(std::move(core)), loop_(std::move(loop)), state_(std::move(state)),
      peer_(std::move(peer)), told_(std::move(told)), socket_(std::move(socket)),
      heard_at_(clock::now().time_since_epoch().count()) {}

void link_stream::start() {
  loop_->add(shared_from_this());
  if (ended_) loop_->remove(*this); // meanwhile: nobody else does
}

void link_stream::end(const op_status& why, bool say) {
  if (ended_.exchange(true)) return;
  {
    std::lock_guard guard{write_mutex_};
    if (say && out_at_ == out_.size()) try {
        add_control(frame_kind::goodbye, encode_answer({why, core_->self}));
        static_cast<void>(socket_->write_some(control_));
      } catch (const std::bad_alloc&) { // it hears the end without a reason
      }
    socket_->shut_down();
  }
  loop_->remove(*this);
  told_(why);
}

// -- writing ------------------------------------------------------------------------------------

void link_stream::flush() {
  std::lock_guard guard{write_mutex_};
  if (!waits_) write_envelopes();
}

void link_stream::on_writable() {
  std::lock_guard guard{write_mutex_};
  waits_ = false;
  try {
    write_envelopes();
  } catch (const std::bad_alloc&) { // some messages are lost
  }
  if (!waits_) loop_->want_write(*this, false);
}

/// Whoever was told to flush goes on until take() has found nothing: until then nobody else comes.
/// Where memory fails him, the next beat() goes on.
void link_stream::write_envelopes() {
  for (std::size_t before = 0; !ended_ && write_out();) {
    if (before >= flush_bytes_max) return wait_for_room();
    if (!next_out()) return;
    before += out_.size();
  }
}

void link_stream::wait_for_room() {
  waits_ = true;
  loop_->want_write(*this, true);
}

/// False: there is no room now, or no connection any more.
bool link_stream::write_out() {
  while (out_at_ != out_.size()) {
    const auto n = socket_->write_some(std::span{out_}.subspan(out_at_));
    if (!n.ok()) {
      socket_->shut_down(); // the loop's thread reads the end
      return false;
    }
    if (*n == 0) {
      wait_for_room();
      return false;
    }
    out_at_ += *n;
  }
  return true;
}

/// What to write next; false: nothing.
bool link_stream::next_out() {
  out_.clear();
  out_at_ = 0;
  if (!control_.empty()) {
    std::swap(out_, control_);
    return true;
  }
  for (;;) {
    const auto messages = state_->take(options().batch_bytes);
    if (messages.empty()) return false;
    auto bytes = encode_envelope(core_->self, messages, sizeof(frame_head));
    if (!bytes.ok()) {
      spdlog::error("node {}: cannot send to node {}: {}", core_->self.node.value, peer_.node.value,
                    bytes.status().message());
      continue;
    }
    write_head(bytes->data(), {static_cast<std::uint32_t>(bytes->size() - sizeof(frame_head)),
                               frame_kind::envelope});
    auto& c = state_->counters;
    ++c.envelopes_sent;
    c.messages_sent += messages.size();
    c.bytes_sent += bytes->size();
    out_ = std::move(*bytes);
    return true;
  }
}

void link_stream::add_control(frame_kind kind, std::span<const char> bytes) {
  const auto at = control_.size();
  control_.resize(at + sizeof(frame_head) + bytes.size());
  write_head(control_.data() + at, {static_cast<std::uint32_t>(bytes.size()), kind});
  std::memcpy(control_.data() + at + sizeof(frame_head), bytes.data(), bytes.size());
}

void link_stream::beat() {
  const auto now = clock::now();
  const clock::time_point heard{clock::duration{heard_at_.load()}};
  if (!delivering_ && now - heard > options().silence_max)
    return end({op_code::unavailable,
                fmt::format("no sign of life for {} ms", options().silence_max.count())},
               true);
  std::lock_guard guard{write_mutex_};
  if (ended_ || !control_.empty()) return; // the last one has not left yet
  const auto sent_at = now.time_since_epoch().count();
  add_control(frame_kind::ping, {reinterpret_cast<const char*>(&sent_at), sizeof sent_at});
  if (!waits_) write_envelopes();
}

// -- reading ------------------------------------------------------------------------------------

void link_stream::on_readable() {
  op_status status;
  try {
    status = read();
    if (!ended_) deliver();
  } catch (const std::bad_alloc&) {
    status = {op_code::no_space, "no memory for what it sends"};
  }
  if (!status.ok()) end(status, status.code() != op_code::unavailable);
}

/// Until there is nothing more now, or enough. What was whole has arrived, also where it fails.
op_status link_stream::read() {
  for (std::size_t sum = 0;;) {
    make_room();
    const auto room = in_room_ - in_to_;
    const auto n = socket_->read_some({in_.get() + in_to_, room});
    if (!n.ok()) return n.status();
    if (*n == 0) return {};
    heard_at_ = clock::now().time_since_epoch().count();
    in_to_ += *n;
    if (auto status = take_frames(); !status.ok()) return status;
    sum += *n;
    const bool more = *n == room || socket_->holds_more();
    if (!more) return {};
    if (sum >= read_bytes) { // TLS may hold what the loop cannot see
      deliver();
      sum = 0;
      if (!socket_->holds_more()) return {};
    }
  }
}

/// Room for the rest of the frame that has begun, as far as what has come of it is worth that.
void link_stream::make_room() {
  const auto have = in_to_ - in_from_;
  if (in_from_ != 0) { // frames are whole words, so the next one begins a word again
    std::memmove(in_.get(), in_.get() + in_from_, have);
    in_from_ = 0;
    in_to_ = have;
  }
  auto want = read_bytes;
  if (have >= sizeof(frame_head))
    want = std::max(
        want, std::min(sizeof(frame_head) + std::size_t{read_head(in_.get()).bytes}, 2 * have));
  if (in_room_ >= want && !(have == 0 && in_room_ > 8 * read_bytes)) return;
  auto larger = std::make_unique_for_overwrite<char[]>(want);
  if (have != 0) std::memcpy(larger.get(), in_.get(), have);
  in_ = std::move(larger);
  in_room_ = want;
}

op_status link_stream::take_frames() {
  while (in_to_ - in_from_ >= sizeof(frame_head)) {
    const char* const at = in_.get() + in_from_;
    const auto head = read_head(at);
    if (head.bytes % 8 != 0 || head.bytes > options().envelope_bytes_max)
      return malformed(fmt::format("a frame of {} bytes, the limit is {}", head.bytes,
                                   options().envelope_bytes_max));
    if (in_to_ - in_from_ - sizeof head < head.bytes) return {};
    if (auto status = take(head, {at + sizeof head, head.bytes}); !status.ok()) return status;
    in_from_ += sizeof head + head.bytes;
  }
  return {};
}

op_status link_stream::take(frame_head head, std::span<const char> bytes) {
  switch (head.kind) {
  case frame_kind::envelope:
    return take_envelope(bytes);
  case frame_kind::ping: {
    deliver();
    std::lock_guard guard{write_mutex_};
    if (control_.size() > read_bytes) return malformed("pings without end");
    add_control(frame_kind::pong, bytes);
    if (!waits_) write_envelopes();
    return {};
  }
  case frame_kind::pong: {
    clock::rep sent_at = 0;
    if (bytes.size() != sizeof sent_at) return malformed("a pong without a time");
    std::memcpy(&sent_at, bytes.data(), sizeof sent_at);
    const auto took = clock::now() - clock::time_point{clock::duration{sent_at}};
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(took).count();
    if (us < 0) return malformed("a pong for no ping");
    auto& mean = state_->counters.round_trip_us;
    const auto now = static_cast<std::uint64_t>(us);
    mean = mean == 0 ? now : (mean * 7 + now) / 8;
    return {};
  }
  case frame_kind::goodbye: {
    const auto why = decode_answer(bytes);
    if (!why.ok()) return malformed(why.status().message());
    return {op_code::unavailable, "the peer ends the link: " + why->status.message()};
  }
  case frame_kind::hello:
  case frame_kind::answer:
    break;
  }
  return malformed(fmt::format("a frame of the unknown kind {}", static_cast<unsigned>(head.kind)));
}

op_status link_stream::take_envelope(std::span<const char> bytes) {
  auto got = decode_envelope(bytes);
  if (!got.ok()) return malformed(got.status().message());
  if (got->cluster != core_->self.cluster || got->node != peer_.node || got->boot != peer_.boot)
    return malformed(fmt::format("an envelope of node {} (boot {}) of cluster {:016x}",
                                 got->node.value, got->boot.value, got->cluster.value));
  auto& c = state_->counters;
  ++c.envelopes_received;
  c.messages_received += got->messages.size();
  c.bytes_received += sizeof(frame_head) + bytes.size();
  if (arrived_.empty())
    arrived_ = std::move(got->messages);
  else
    std::ranges::move(got->messages, std::back_inserter(arrived_));
  return {};
}

void link_stream::deliver() {
  if (arrived_.empty()) return;
  delivering_ = true;
  core_->listener.on_messages(peer_.node, std::exchange(arrived_, {}));
  heard_at_ = clock::now().time_since_epoch().count();
  delivering_ = false;
}

op_status link_stream::malformed(const std::string& what) {
  ++state_->counters.malformed;
  return {op_code::corruption,
          fmt::format("node {} sent what it must not: {}", peer_.node.value, what)};
}

} // namespace warp::cluster::links
