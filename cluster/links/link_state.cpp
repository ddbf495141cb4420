#include "cluster/links/link_state.hpp"

#include <fmt/format.h>

#include <utility>

namespace warp::cluster::links {

op_status link_state::push(std::vector<shard_message>&& messages, caf::actor_addr& wake) {
  std::lock_guard guard{mutex_};
  if (!linked_) {
    counters.dropped_away += messages.size();
    return {op_code::unavailable,
            fmt::format("node {} is away: {}", node_.value, reason_.message())};
  }
  std::size_t dropped = 0;
  for (auto& m : messages)
    if (!outbox_.push(std::move(m))) ++dropped;
  if (!std::exchange(woken_, true)) wake = link_;
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
  return {address_, linked_, heard_, reason_, refused_, outbox_.size(), outbox_.bytes()};
}

bool link_state::adopt(caf::actor_addr link) {
  std::lock_guard guard{mutex_};
  link_ = std::move(link);
  return linked_;
}

op_status link_state::accept(const node_identity& peer) {
  std::lock_guard guard{mutex_};
  auto status = judge_boot(heard_, linked_, peer);
  if (status.ok()) heard_ = peer;
  return status;
}

void link_state::linked() {
  std::lock_guard guard{mutex_};
  ++counters.established;
  linked_ = true;
  woken_ = false;
  refused_ = false;
  reason_ = {};
}

bool link_state::down(const op_status& reason, bool refused) {
  std::lock_guard guard{mutex_};
  if (linked_) ++counters.lost;
  const bool news = linked_ || refused != refused_ || reason.to_string() != reason_.to_string();
  linked_ = false;
  refused_ = refused;
  reason_ = reason;
  counters.dropped_away += outbox_.clear();
  counters.in_flight_bytes = 0;
  return news;
}

std::vector<shard_message> link_state::take(std::size_t bytes) {
  std::lock_guard guard{mutex_};
  auto taken = outbox_.take(bytes);
  woken_ = !taken.empty();
  return taken;
}

} // namespace warp::cluster::links
