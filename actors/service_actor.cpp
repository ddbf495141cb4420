#include "actors/service_actor.hpp"

#include "actors/message_types.hpp"
#include "actors/status_error.hpp"

namespace warp::actors {

namespace {

constexpr std::chrono::milliseconds restart_delay{100}; ///< a port may still be taken for a moment

caf::behavior run(caf::event_based_actor* self, const std::shared_ptr<service_slot>& slot,
                  std::chrono::milliseconds stop_bound) {
  // The service's threads tell the actor by its address: a strong handle there would keep it alive
  // for ever.
  auto tell = [address = self->address()](const op_status& cause) {
    if (auto to = caf::actor_cast<caf::actor>(address))
      caf::anon_send(to, failed_atom_v, static_cast<std::uint16_t>(cause.code()), cause.message());
  };
  self->set_exit_handler([self, slot, stop_bound](caf::exit_msg& m) {
    slot->stop(std::chrono::steady_clock::now() + stop_bound);
    self->quit(m.reason);
  });
  auto started = slot->start(tell, stop_bound);
  if (!started.status.ok()) {
    self->quit(started.final ? caf::error{} : to_error(started.status));
    return {};
  }
  return {[self](failed_atom, std::uint16_t code, const std::string& cause) {
    self->quit(to_error({static_cast<op_code>(code), cause}));
  }};
}

} // namespace

child_spec service_actor(std::shared_ptr<service_slot> slot, std::chrono::milliseconds stop_bound) {
  return {
      .name = slot->get().name(),
      .body = [slot, stop_bound](caf::event_based_actor* self,
                                 const child_context&) { return run(self, slot, stop_bound); },
      .kind = child_kind::detached,
      .stop_bound = stop_bound + std::chrono::seconds{1},
      .restart_delay = restart_delay,
  };
}

} // namespace warp::actors
