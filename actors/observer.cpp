#include "actors/observer.hpp"

#include "actors/message_types.hpp"

#include <sys/resource.h>
#include <unistd.h>

namespace warp::actors {

namespace {

/// What learns gives way to what serves.
constexpr int niceness = 10;

} // namespace

child_spec observer(node& n) {
  return {
      .name = "observer",
      .body = [&n](caf::event_based_actor* self, const child_context&) -> caf::behavior {
        self->send(self, hurry_atom_v);
        return {[self](hurry_atom) {
                  // On Linux a thread has a niceness of its own. Where it may not be set nothing is
                  // lost.
                  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), niceness);
                  self->send(self, turn_atom_v);
                },
                [self, &n](turn_atom) {
                  n.physics->turn(n.physics->pause());
                  self->send(self, turn_atom_v);
                }};
      },
      .kind = child_kind::detached,
      .interrupt = [&n] { n.physics->interrupt(); },
  };
}

} // namespace warp::actors
