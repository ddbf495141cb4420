#pragma once

#include "actors/child_spec.hpp"
#include "actors/node.hpp"

#include <cstdint>

namespace warp::actors {

/// A worker of node::compute: a detached actor of the physics supervisor that computes one batch
/// after the other, at low priority. It holds no job between two batches: ended at any moment it
/// finishes the batch in hand, and its successor goes on with the queue. While it is down jobs
/// wait, and beyond the queue's bound they are refused. Its mailbox holds one message.
child_spec computing(node& n, std::uint32_t worker);

} // namespace warp::actors
