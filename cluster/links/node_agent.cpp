#include "cluster/links/node_agent.hpp"

#include "actors/status_error.hpp"
#include "cluster/links/link_messages.hpp"

#include <fmt/format.h>

namespace warp::cluster::links {

actors::child_spec node_agent(std::shared_ptr<network_core> core) {
  auto body = [core](caf::event_based_actor* self,
                     const actors::child_context& context) -> caf::behavior {
    const auto fail = [self, core](const op_status& why) {
      const op_status status{why.code(),
                             fmt::format("cannot listen for other nodes: {}", why.message())};
      core->set_listening(status);
      self->quit(actors::to_error(status));
    };
    if (const auto status = core->open_door(self->address()); status.ok())
      context.ready(self);
    else
      fail(status);
    return {[fail](door_failed_atom, const std::string& why) {
      fail({op_code::unavailable, why});
    }};
  };
  return {.name = "agent", .body = body, .wait_ready = true};
}

} // namespace warp::cluster::links
