#pragma once

#include "actors/child_spec.hpp"
#include "actors/node.hpp"

namespace warp::actors {

/// Receives batches of sampled accesses (observe_atom, frame) and counts them. Nobody waits for it:
/// while it is dead or absent its senders go on, and batches are lost.
child_spec observer(node& n);

} // namespace warp::actors
