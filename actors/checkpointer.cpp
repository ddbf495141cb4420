#include "actors/checkpointer.hpp"

#include "actors/message_types.hpp"
#include "actors/status_error.hpp"

#include <spdlog/spdlog.h>

namespace warp::actors {

child_spec checkpointer(node& n) {
  return {
      .name = "checkpointer",
      .body = [&n](caf::event_based_actor*, const child_context&) -> caf::behavior {
        return {[&n, last_failure = std::string{}](
                    save_atom, std::uint32_t shard) mutable -> caf::result<void> {
                  auto status = n.checkpoints.run(shard_id{shard});
                  if (status.ok()) {
                    last_failure.clear();
                    return caf::unit;
                  }
                  // said once per cause: the shard stays due and comes again every second
                  if (auto text = status.to_string(); text != last_failure) {
                    spdlog::warn("checkpoint of shard {} failed: {}", shard, text);
                    last_failure = std::move(text);
                  }
                  return to_error(status);
                },
                [&n, last_failure = std::string{}](mend_atom) mutable -> caf::result<void> {
                  auto status = n.checkpoints.mend();
                  if (status.ok()) {
                    last_failure.clear();
                    return caf::unit;
                  }
                  if (auto text = status.to_string(); text != last_failure) {
                    spdlog::warn("the failed log cannot be mended yet: {}", text);
                    last_failure = std::move(text);
                  }
                  return to_error(status);
                }};
      },
      .kind = child_kind::detached,
      .stop_bound = std::chrono::seconds{30}, // lets the checkpoint under way finish
  };
}

} // namespace warp::actors
