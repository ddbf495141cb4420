#pragma once

#include "actors/child_spec.hpp"
#include "actors/node.hpp"

namespace warp::actors {

/// Makes log segments ahead of their writers: a detached actor of the storage supervisor that
/// drives the node's segment_maker in turns of up to a second. It holds nothing; while it is down a
/// writer that needs a segment makes it itself, and its round takes longer. Its mailbox holds one
/// message.
child_spec segment_making(node& n);

} // namespace warp::actors
