#pragma once

#include "actors/tree.hpp"

#include <caf/actor.hpp>
#include <caf/actor_addr.hpp>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace warp::actors {

/// What is alive in the tree right now, readable without asking any actor, so that it also works
/// when actors are stuck. Owned by the universe, written by the supervisors; keeps weak handles
/// only, and so never keeps an actor alive. Thread-safe.
class tree_registry {
public:
  struct member {
    bool supervisor = false;
    bool detached = false;
    caf::actor_addr address;
    std::function<void()> interrupt; ///< makes a blocking member look at its mailbox; may be empty
  };

  // -- for supervisors
  // --------------------------------------------------------------------------------------------------

  /// A member (re)starts under this path; restarts and cause of an earlier life stay.
  void attach(const std::string& path, member who, node_state state);
  void set_state(const std::string& path, node_state state);
  void count_restart(const std::string& path, const std::string& cause);
  void remove(const std::string& path);

  // -- for everyone
  // -----------------------------------------------------------------------------------------------------

  /// The tree now: parents before children, in order of their first start.
  [[nodiscard]] std::vector<tree_node> snapshot() const;
  /// The live actor at a path; null while it is down. Ask again for every use: a handle dies with
  /// its actor.
  [[nodiscard]] caf::actor find(std::string_view path) const;
  /// Ends the member on purpose. False: nothing alive there.
  bool kill(std::string_view path);

  /// Waits until the tree fulfils the condition (looked at after every change); false when the
  /// deadline came first.
  bool wait_until(std::chrono::steady_clock::time_point deadline,
                  const std::function<bool(const std::vector<tree_node>&)>& condition) const;

private:
  struct entry {
    tree_node node;
    member who;
    std::uint64_t order = 0;
  };

  [[nodiscard]] std::vector<tree_node> snapshot_locked() const;

  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::map<std::string, entry, std::less<>> entries_;
  std::uint64_t next_order_ = 0;
};

} // namespace warp::actors
