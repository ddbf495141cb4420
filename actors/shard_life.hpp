#pragma once

#include "actors/child_spec.hpp"
#include "actors/node.hpp"
#include "messages/ids.hpp"

namespace warp::actors {

/// Life of one shard: sweeps what has expired and has checkpoints written, both when upkeep says
/// that there is something to do. The data path never meets it. It holds no state; while it is down
/// its shard is merely not swept. Its mailbox holds at most one order of each kind per second.
child_spec shard_life(node& n, shard_id shard);

/// Where upkeep finds it.
std::string shard_life_path(shard_id shard);

} // namespace warp::actors
