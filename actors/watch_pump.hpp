#pragma once

#include "actors/child_spec.hpp"
#include "actors/node.hpp"

namespace warp::actors {

/// Carries changes to watches: a detached actor of the storage supervisor that drives
/// engine::run_watches() in turns of up to a second. It holds nothing: killed at any moment, its
/// successor goes on. While it is down watches are told nothing, and writers notice nothing.
child_spec watch_pump(node& n);

} // namespace warp::actors
