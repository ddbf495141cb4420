#include "actors/computing.hpp"

#include "actors/message_types.hpp"

#include <sys/resource.h>
#include <unistd.h>

namespace warp::actors {

namespace {

/// What is computed beside the data path gives way to what serves.
constexpr int niceness = 10;
/// How long it sleeps at most; an interrupt or a job ends the sleep early.
constexpr std::chrono::milliseconds turn_max{1'000};

} // namespace

child_spec computing(node& n, std::uint32_t worker) {
  return {
      .name = "gpu-manager-" + std::to_string(worker),
      .body = [&n, worker](caf::event_based_actor* self, const child_context&) -> caf::behavior {
        self->send(self, hurry_atom_v);
        return {[self](hurry_atom) {
                  // On Linux a thread has a niceness of its own, which those that it starts
                  // inherit. Where it may not be set nothing is lost.
                  ::setpriority(PRIO_PROCESS, static_cast<id_t>(::gettid()), niceness);
                  self->send(self, turn_atom_v);
                },
                [self, &n, worker](turn_atom) {
                  n.compute->turn(worker, turn_max);
                  self->send(self, turn_atom_v);
                }};
      },
      .kind = child_kind::detached,
      .interrupt = [&n, worker] { n.compute->interrupt(worker); },
  };
}

} // namespace warp::actors
