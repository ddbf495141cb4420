#pragma once

#include "actors/child_spec.hpp"
#include "actors/node.hpp"

#include <cstdint>

namespace warp::actors {

/// WAL writer of one log stream: a detached actor of the storage supervisor that drives the
/// engine's group commit in turns of up to a second, on options.wal_cpus. It holds nothing: killed
/// at any moment, its successor goes on with the next turn. While it is down sync writes wait;
/// nothing is lost. Its mailbox holds one message.
child_spec wal_writer(node& n, std::uint32_t stream);

} // namespace warp::actors
