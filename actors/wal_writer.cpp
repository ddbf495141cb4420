#include "actors/wal_writer.hpp"

#include "actors/message_types.hpp"

#include <spdlog/spdlog.h>

#include <string>
#include <utility>

namespace warp::actors {

namespace {

/// How long an idle writer sleeps at most; an interrupt or work ends the sleep early.
constexpr std::chrono::milliseconds turn_max{1'000};

} // namespace

child_spec wal_writer(node& n, std::uint32_t stream) {
  auto& lease = *n.streams[stream];
  return {
      .name = "wal-writer-" + std::to_string(stream),
      .body = [&n, &lease](caf::event_based_actor* self, const child_context&) -> caf::behavior {
        self->send(self, turn_atom_v);
        return {[self, &n, &lease, pinned = false](turn_atom) mutable {
          if (!std::exchange(pinned, true))
            if (auto status = n.engine->pin_stream_thread(); !status.ok())
              spdlog::warn("storage.wal_cpus: {}", status.message());
          lease.turn(turn_max);
          n.writer_turns.fetch_add(1, std::memory_order_relaxed);
          self->send(self, turn_atom_v);
        }};
      },
      .kind = child_kind::detached,
      .interrupt = [&lease] { lease.interrupt(); },
  };
}

} // namespace warp::actors
