#pragma once

#include "actors/child_spec.hpp"
#include "actors/node.hpp"

namespace warp::actors {

/// Drives node::physics: a detached actor that learns from the samples of the data path about ten
/// times a second, at low priority. It holds nothing: killed at any moment, its successor goes on.
/// While it is down samples are dropped, and nobody waits.
child_spec observer(node& n);

} // namespace warp::actors
