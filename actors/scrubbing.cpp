#include "actors/scrubbing.hpp"

#include "actors/message_types.hpp"

namespace warp::actors {

namespace {

/// How long it sleeps at most; an interrupt or a request ends the sleep early.
constexpr std::chrono::milliseconds turn_max{1'000};

} // namespace

child_spec scrubbing(node& n) {
  return {
      .name = "scrubber",
      .body = [&n](caf::event_based_actor* self, const child_context&) -> caf::behavior {
        self->send(self, turn_atom_v);
        return {[self, &n](turn_atom) {
          n.scrubs->turn(turn_max);
          self->send(self, turn_atom_v);
        }};
      },
      .kind = child_kind::detached,
      .interrupt = [&n] { n.scrubs->interrupt(); },
  };
}

} // namespace warp::actors
