#include "actors/tree_registry.hpp"

#include <caf/all.hpp>

#include <algorithm>

namespace warp::actors {

void tree_registry::attach(const std::string& path, member who, node_state state) {
  std::lock_guard guard{mutex_};
  auto [it, is_new] = entries_.try_emplace(path);
  auto& e = it->second;
  if (is_new) {
    e.node.path = path;
    e.order = next_order_++;
  }
  e.node.supervisor = who.supervisor;
  e.node.detached = who.detached;
  e.node.state = state;
  e.who = std::move(who);
  changed_.notify_all();
}

void tree_registry::set_state(const std::string& path, node_state state) {
  std::lock_guard guard{mutex_};
  auto it = entries_.find(path);
  if (it == entries_.end()) return;
  it->second.node.state = state;
  changed_.notify_all();
}

void tree_registry::count_restart(const std::string& path, const std::string& cause) {
  std::lock_guard guard{mutex_};
  auto it = entries_.find(path);
  if (it == entries_.end()) return;
  ++it->second.node.restarts;
  it->second.node.last_cause = cause;
  changed_.notify_all();
}

void tree_registry::remove(const std::string& path) {
  std::lock_guard guard{mutex_};
  entries_.erase(path);
  changed_.notify_all();
}

std::vector<tree_node> tree_registry::snapshot_locked() const {
  std::vector<const entry*> ordered;
  ordered.reserve(entries_.size());
  for (auto& [path, e] : entries_) ordered.push_back(&e);
  std::ranges::sort(ordered, {}, &entry::order);
  std::vector<tree_node> nodes;
  nodes.reserve(ordered.size());
  for (auto* e : ordered) nodes.push_back(e->node);
  return nodes;
}

std::vector<tree_node> tree_registry::snapshot() const {
  std::lock_guard guard{mutex_};
  return snapshot_locked();
}

caf::actor tree_registry::find(std::string_view path) const {
  std::lock_guard guard{mutex_};
  auto it = entries_.find(path);
  if (it == entries_.end()) return {};
  return caf::actor_cast<caf::actor>(it->second.who.address);
}

bool tree_registry::kill(std::string_view path) {
  std::function<void()> interrupt;
  caf::actor target;
  {
    std::lock_guard guard{mutex_};
    auto it = entries_.find(path);
    if (it == entries_.end()) return false;
    target = caf::actor_cast<caf::actor>(it->second.who.address);
    interrupt = it->second.who.interrupt;
  }
  if (!target) return false;
  // urgent: before what already waits in the mailbox
  caf::anon_send<caf::message_priority::high>(
      target, caf::exit_msg{target.address(), caf::exit_reason::kill});
  if (interrupt) interrupt();
  return true;
}

bool tree_registry::wait_until(
    std::chrono::steady_clock::time_point deadline,
    const std::function<bool(const std::vector<tree_node>&)>& condition) const {
  std::unique_lock lock{mutex_};
  return changed_.wait_until(lock, deadline, [&] { return condition(snapshot_locked()); });
}

} // namespace warp::actors
