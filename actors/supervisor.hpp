#pragma once

#include "actors/child_spec.hpp"
#include "actors/tree.hpp"
#include "actors/tree_registry.hpp"

#include <caf/behavior.hpp>
#include <caf/fwd.hpp>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace warp::actors {

enum class restart_strategy : std::uint8_t {
  one_for_one,  ///< a failed child alone is started again
  rest_for_one, ///< those after it are stopped (the last first), then it and they start in order
};

struct supervisor_spec {
  restart_strategy strategy = restart_strategy::one_for_one;
  restart_intensity intensity;
  std::vector<child_spec> children; ///< in the order of their start
  std::shared_ptr<tree_registry> registry;
  /// Called on the supervisor's thread when it gives up, after its children have ended. The root
  /// uses it to end the process; empty elsewhere, because the failure goes up by the supervisor's
  /// own end.
  std::function<void(const std::string& cause)> on_give_up;
};

/// The body of a supervisor; itself a child of another one, or the root, spawned by the universe.
///
/// 1. Children start in order; a child with wait_ready holds the next ones back until it is ready.
/// When all are started the supervisor
///    says ready to its own parent.
/// 2. A child that ends with anything but a normal reason is restarted by the strategy, counted and
/// logged with its cause.
/// 3. More restarts than the intensity allows: all children are stopped (the last first), and it
/// ends with an error itself.
/// 4. An exit message stops the children, the last first, each within its bound, then the
/// supervisor.
/// 5. When a supervisor is killed its children die with it. What two incarnations of a
/// child must not do at the same time
///    (drive a log stream) is guarded by a lock beside the resource, since the old one may still be
///    on its way out.
/// 6. add_child_atom with a child_spec_ptr adds a child at the end; a known name is ignored.
///
/// Its mailbox holds one message per event in a child's life and does not grow by load.
caf::behavior supervise(caf::event_based_actor* self, const child_context& context,
                        supervisor_spec spec);

/// The specification of a supervisor as a child of another one; `make` is called for every start,
/// so that a restart sees children that came later.
child_spec supervisor_child(std::string name, std::function<supervisor_spec()> make);

} // namespace warp::actors
