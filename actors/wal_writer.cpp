#include "actors/wal_writer.hpp"

#include "actors/message_types.hpp"

#include <spdlog/spdlog.h>

#include <pthread.h>
#include <string>
#include <utility>

namespace warp::actors {

namespace {

/// How long an idle writer sleeps at most; an interrupt or work ends the sleep early.
constexpr std::chrono::milliseconds turn_max{1'000};

/// Says once when a stream begins to refuse writes, for each cause, and when it writes again.
class condition_log {
public:
  void look(const storage::engine& engine, std::uint32_t stream) {
    auto now = engine.condition_of_stream(stream);
    if (now == last_.code() && now.message() == last_.message()) return;
    if (now == op_code::io_error)
      spdlog::error("log stream {} has failed and its shards refuse writes, reads go on; "
                    "checkpoints of them and a new chain of files will take its place: {}",
                    stream, now.message());
    else if (!now.ok())
      spdlog::error("log stream {} finds no space: writes are refused until there is some: {}",
                    stream, now.message());
    else
      spdlog::info("log stream {} writes again", stream);
    last_ = std::move(now);
  }

private:
  op_status last_;
};

} // namespace

child_spec wal_writer(node& n, std::uint32_t stream) {
  auto& lease = *n.streams[stream];
  return {
      .name = "wal-writer-" + std::to_string(stream),
      .body = [&n, &lease, stream](caf::event_based_actor* self,
                                   const child_context&) -> caf::behavior {
        self->send(self, turn_atom_v);
        return {[self, &n, &lease, stream, pinned = false,
                 condition = condition_log{}](turn_atom) mutable {
          if (!std::exchange(pinned, true)) {
            ::pthread_setname_np(::pthread_self(), ("wal-" + std::to_string(stream)).c_str());
            if (auto status = n.engine->pin_stream_thread(); !status.ok())
              spdlog::warn("storage.wal_cpus: {}", status.message());
          }
          lease.turn(turn_max);
          condition.look(*n.engine, stream);
          n.writer_turns.fetch_add(1, std::memory_order_relaxed);
          self->send(self, turn_atom_v);
        }};
      },
      .kind = child_kind::detached,
      .interrupt = [&lease] { lease.interrupt(); },
  };
}

} // namespace warp::actors
