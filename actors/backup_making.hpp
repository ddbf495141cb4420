#pragma once

#include "actors/child_spec.hpp"
#include "actors/node.hpp"

namespace warp::actors {

/// Makes the backups that were ordered or are due, one at a time, on a thread of its own. Its death
/// gives up the one under way; its successor goes on with the next.
child_spec backup_making(node& n);

} // namespace warp::actors
