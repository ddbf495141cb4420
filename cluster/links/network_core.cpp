#include "cluster/links/network_core.hpp"

#include "cluster/links/link_door.hpp"
#include "cluster/links/link_loop.hpp"

#include <algorithm>
#include <thread>
#include <utility>

namespace warp::cluster::links {

network_core::network_core(node_identity who, link_options how, link_listener& whom)
    : self(std::move(who)), options(std::move(how)), listener(whom) {}

network_core::~network_core() = default;

op_status network_core::start_loops() {
  // What copies do with what has come is done by these threads, and clients need cores as well.
  const auto suits = std::clamp(std::thread::hardware_concurrency() / 4, 1u, 8u);
  const auto count = options.threads != 0 ? options.threads : suits;
  while (loops_.size() < count) {
    auto loop = link_loop::start(listener);
    if (!loop.ok()) return loop.status();
    std::lock_guard guard{loops_mutex_};
    loops_.push_back(std::move(*loop));
  }
  return {};
}

void network_core::stop_loops() {
  std::vector<std::shared_ptr<link_loop>> last;
  {
    std::lock_guard guard{loops_mutex_};
    last.swap(loops_);
  }
  for (const auto& loop : last) loop->stop(); // without the lock: what they call may want it
}

void network_core::wake_loop() noexcept {
  std::lock_guard guard{loops_mutex_};
  if (!loops_.empty()) loops_.front()->wake();
}

op_status network_core::open_door(caf::actor_addr agent) {
  std::lock_guard guard{door_mutex_};
  door_.reset();
  const auto wanted = options.listen.port != 0 ? options.listen.port : port();
  auto door = link_door::open(*this, wanted, std::move(agent));
  if (!door.ok()) return door.status();
  door_ = std::move(*door);
  set_listening(door_->port());
  return {};
}

void network_core::close_door() {
  std::lock_guard guard{door_mutex_};
  door_.reset();
}

} // namespace warp::cluster::links
