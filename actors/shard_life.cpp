#include "actors/shard_life.hpp"

#include "actors/checkpointer.hpp"
#include "actors/message_types.hpp"
#include "actors/status_error.hpp"

namespace warp::actors {

namespace {

/// A turn of sweeping that removed at least this many is followed by another one at once.
constexpr std::size_t worth_going_on = 64;

} // namespace

std::string shard_life_path(shard_id shard) {
  return "universe/storage/shard-" + std::to_string(shard.value);
}

child_spec shard_life(node& n, shard_id shard) {
  return {
      .name = "shard-" + std::to_string(shard.value),
      .body = [&n, shard](caf::event_based_actor* self, const child_context&) -> caf::behavior {
        return {
            [self, &n, shard](sweep_atom, std::uint32_t turns) {
              const auto removed = n.engine->sweep_expired(shard);
              n.sweep_again[shard.value].store(removed > 0, std::memory_order_relaxed);
              if (removed >= worth_going_on && turns > 1) self->send(self, sweep_atom_v, turns - 1);
            },
            [self, &n, shard](save_atom) -> caf::result<caf::message> {
              auto writer = n.registry->find(checkpointer_path);
              if (!writer)
                return to_error(op_status{op_code::unavailable, "the checkpointer is restarting"});
              return self->delegate(writer, save_atom_v, shard.value);
            },
        };
      },
  };
}

} // namespace warp::actors
