#include "actors/backup_making.hpp"

#include "actors/message_types.hpp"

namespace warp::actors {

namespace {

/// How long it sleeps at most; an order or an interrupt ends the sleep early.
constexpr std::chrono::milliseconds turn_max{1'000};

} // namespace

child_spec backup_making(node& n) {
  return {
      .name = "backups",
      .body = [&n](caf::event_based_actor* self, const child_context&) -> caf::behavior {
        self->send(self, turn_atom_v);
        return {[self, &n](turn_atom) {
          n.backups.run(turn_max);
          self->send(self, turn_atom_v);
        }};
      },
      .kind = child_kind::detached,
      .interrupt = [&n] { n.backups.interrupt(); },
  };
}

} // namespace warp::actors
