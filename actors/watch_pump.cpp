#include "actors/watch_pump.hpp"

#include "actors/message_types.hpp"

namespace warp::actors {

namespace {

/// How long it sleeps at most when nothing changes; an interrupt or work ends the sleep early.
constexpr std::chrono::milliseconds turn_max{1'000};

} // namespace

child_spec watch_pump(node& n) {
  return {
      .name = "watch-pump",
      .body = [&n](caf::event_based_actor* self, const child_context&) -> caf::behavior {
        self->send(self, turn_atom_v);
        return {[self, &n](turn_atom) {
          n.engine->run_watches(turn_max);
          self->send(self, turn_atom_v);
        }};
      },
      .kind = child_kind::detached,
      .interrupt = [&n] { n.engine->interrupt_watches(); },
  };
}

} // namespace warp::actors
