#include "actors/segment_making.hpp"

#include "actors/message_types.hpp"

namespace warp::actors {

namespace {

/// How long it sleeps at most; an interrupt or a writer's wish ends the sleep early.
constexpr std::chrono::milliseconds turn_max{1'000};

} // namespace

child_spec segment_making(node& n) {
  return {
      .name = "segment-maker",
      .body = [&n](caf::event_based_actor* self, const child_context&) -> caf::behavior {
        self->send(self, turn_atom_v);
        return {[self, &n](turn_atom) {
          n.segments->run(turn_max);
          self->send(self, turn_atom_v);
        }};
      },
      .kind = child_kind::detached,
      .interrupt = [&n] { n.segments->interrupt(); },
  };
}

} // namespace warp::actors
