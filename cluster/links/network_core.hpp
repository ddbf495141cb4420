#pragma once

#include "cluster/links/link_listener.hpp"
#include "cluster/links/link_options.hpp"
#include "cluster/links/link_state.hpp"
#include "cluster/links/node_identity.hpp"

#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace warp::cluster::links {

class link_door;
class link_loop;

/// What the network, its agent and its links share: outlives the actors. Thread-safe.
class network_core {
public:
  network_core(node_identity who, link_options how, link_listener& whom);
  ~network_core();

  const node_identity self;
  const link_options options;
  link_listener& listener;

  /// Makes a state for a peer that is new. `fresh`: whether it is.
  std::shared_ptr<link_state> add(node_id peer, bool& fresh) {
    std::lock_guard guard{mutex_};
    auto& state = links_[peer];
    fresh = !state;
    if (fresh) state = std::make_shared<link_state>(peer, options);
    return state;
  }
  /// Null: nobody has told us of this peer.
  [[nodiscard]] std::shared_ptr<link_state> find(node_id peer) const {
    std::lock_guard guard{mutex_};
    const auto at = links_.find(peer);
    return at == links_.end() ? nullptr : at->second;
  }
  [[nodiscard]] std::vector<std::shared_ptr<link_state>> all() const {
    std::lock_guard guard{mutex_};
    std::vector<std::shared_ptr<link_state>> states;
    for (const auto& [node, state] : links_) states.push_back(state);
    return states;
  }

  /// The agent listens, or can't.
  void set_listening(op_result<std::uint16_t> port) {
    std::lock_guard guard{mutex_};
    if (port.ok()) port_ = *port;
    listening_ = port.ok() ? op_status{} : port.status();
    changed_.notify_all();
  }
  /// What became of it; nothing: the bound was over first.
  std::optional<op_status> wait_listening(std::chrono::milliseconds bound) {
    std::unique_lock lock{mutex_};
    changed_.wait_for(lock, bound, [&] { return listening_.has_value(); });
    return listening_;
  }
  void forget_listening() {
    std::lock_guard guard{mutex_};
    listening_.reset();
  }
  /// The port that was taken; 0: none yet.
  [[nodiscard]] std::uint16_t port() const {
    std::lock_guard guard{mutex_};
    return port_;
  }
  [[nodiscard]] bool listens() const {
    std::lock_guard guard{mutex_};
    return listening_ && listening_->ok();
  }

  /// Threads that receive; before anything else is started, and after everything else has ended.
  op_status start_loops();
  void stop_loops();
  /// Nothing where they do not run.
  void wake_loop() noexcept;
  /// Of one peer always the same; null: they do not run.
  [[nodiscard]] std::shared_ptr<link_loop> loop_of(node_id peer) const {
    std::lock_guard guard{loops_mutex_};
    return loops_.empty() ? nullptr : loops_[peer.value % loops_.size()];
  }

  /// Listens, in the place of what has listened before.
  op_status open_door(caf::actor_addr agent);
  void close_door();

private:
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::map<node_id, std::shared_ptr<link_state>> links_;
  std::optional<op_status> listening_;
  std::uint16_t port_ = 0;
  mutable std::mutex loops_mutex_; ///< guards the list against who wakes one or gets one
  std::vector<std::shared_ptr<link_loop>> loops_;
  std::mutex door_mutex_;
  std::unique_ptr<link_door> door_;
};

} // namespace warp::cluster::links
