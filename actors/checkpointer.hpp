#pragma once

#include "actors/child_spec.hpp"
#include "actors/node.hpp"

namespace warp::actors {

/// The checkpointer: a detached actor of the storage supervisor, shared by the shards, that writes
/// one checkpoint at a time on request of a shard actor, and those that take the place of a failed
/// log on request of upkeep. If it dies, the one it was writing stays
/// under its temporary name and the shard is due again. Its mailbox holds at most one request per
/// shard (see upkeep).
child_spec checkpointer(node& n);

/// Where shard actors find it.
inline constexpr const char* checkpointer_path = "universe/storage/checkpointer";

} // namespace warp::actors
