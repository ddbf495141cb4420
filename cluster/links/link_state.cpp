#include "cluster/links/link_state.hpp"

#include <fmt/format.h>

#include <utility>

namespace warp::cluster::links {

op_status link_state::push(std::vector<shard_message>&& messages,
                           std::shared_ptr<link_stream>& flush) {
  std::lock_guard guard{mutex_};
  if (!stream_) {
    counters.dropped_away += messages.size();
    return {op_code::unavailable,
            fmt::format("node {} is away: {}", node_.value, reason_.message())};
  }
  std::size_t dropped = 0;
  for (auto& m : messages)
    if (!outbox_.push(std::move(m))) ++dropped;
  if (!std::exchange(flushes_, true)) flush = stream_;
  if (dropped == 0) return {};
  counters.dropped_full += dropped;
  return {op_code::overloaded, fmt::format("node {} is slow: {} bytes wait for it already",
                                           node_.value, outbox_.bytes())};
}

void link_state::set_address(std::optional<peer_address> address) {
  std::lock_guard guard{mutex_};
  address_ = std::move(address);
}

std::optional<peer_address> link_state::address() const {
  std::lock_guard guard{mutex_};
  return address_;
}

caf::actor_addr link_state::link() const {
  std::lock_guard guard{mutex_};
  return link_;
}

link_state::view link_state::now() const {
  std::lock_guard guard{mutex_};
  return {address_, heard_, reason_, refused_, outbox_.size(), outbox_.bytes(), stream_};
}

std::shared_ptr<link_stream> link_state::adopt(caf::actor_addr link) {
  std::lock_guard guard{mutex_};
  link_ = std::move(link);
  return stream_;
}

op_status link_state::accept(const node_identity& peer) {
  std::lock_guard guard{mutex_};
  auto status = judge_boot(heard_, stream_ != nullptr, peer);
  if (status.ok()) heard_ = peer;
  return status;
}

void link_state::linked(std::shared_ptr<link_stream> stream) {
  std::lock_guard guard{mutex_};
  ++counters.established;
  stream_ = std::move(stream);
  flushes_ = false;
  refused_ = false;
  reason_ = {};
}

bool link_state::down(const op_status& reason, bool refused) {
  std::shared_ptr<link_stream> last; // goes without the lock
  std::lock_guard guard{mutex_};
  if (stream_) ++counters.lost;
  const bool news = stream_ || refused != refused_ || reason.to_string() != reason_.to_string();
  last = std::move(stream_);
  refused_ = refused;
  reason_ = reason;
  counters.dropped_away += outbox_.clear();
  return news;
}

std::vector<shard_message> link_state::take(std::size_t bytes) {
  std::lock_guard guard{mutex_};
  auto taken = outbox_.take(bytes);
  flushes_ = !taken.empty();
  return taken;
}

} // namespace warp::cluster::links
