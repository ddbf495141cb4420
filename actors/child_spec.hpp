#pragma once

#include <caf/actor_addr.hpp>
#include <caf/behavior.hpp>
#include <caf/fwd.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>

namespace warp::actors {

/// What a child knows about its place in the tree.
struct child_context {
  std::string path;       ///< "universe/storage/shard-3"
  caf::actor_addr parent; ///< its supervisor; weak, so that neither keeps the other alive

  /// Tells the supervisor that this child can be used. Only where child_spec::wait_ready is set;
  /// once per start.
  void ready(caf::event_based_actor* self) const;
};

enum class child_kind : std::uint8_t {
  normal,   ///< runs on the scheduler's threads: its handlers must not block
  detached, ///< has a thread of its own and may block
};

/// What a child is made of. Its body returns the behaviour, as CAF function-based actors do; it may
/// throw or quit, which counts as a failed start. State that must survive a restart is captured by
/// reference from its owner.
///
/// A child that ends normally is not started again. One that ends in any other way is.
struct child_spec {
  std::string name; ///< unique among its siblings, lower case with dashes
  std::function<caf::behavior(caf::event_based_actor* self, const child_context& context)> body;
  child_kind kind = child_kind::normal;
  bool supervisor = false; ///< shown in the tree
  /// Siblings after it start when it has said ready; otherwise as soon as it is spawned.
  bool wait_ready = false;
  /// How long it may take to end after it was told to; then it is killed, and 1 s later given up as
  /// abandoned.
  std::chrono::milliseconds stop_bound{5'000};
  /// Pause before a restart.
  std::chrono::milliseconds restart_delay{0};
  /// Makes a blocking body return to its mailbox; called from any thread after a message was sent
  /// to it. May be empty.
  std::function<void()> interrupt;
};

} // namespace warp::actors
