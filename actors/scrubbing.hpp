#pragma once

#include "actors/child_spec.hpp"
#include "actors/node.hpp"

namespace warp::actors {

/// A detached actor of the storage supervisor that drives node::scrub. Only for a universe with a
/// data folder. Idle it wakes once a second.
child_spec scrubbing(node& n);

} // namespace warp::actors
