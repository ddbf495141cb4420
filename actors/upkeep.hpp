#pragma once

#include "actors/child_spec.hpp"
#include "actors/node.hpp"

#include <chrono>

namespace warp::actors {

/// The one clock of the storage branch: once a second it asks the engine which checkpoints are due
/// and which shards have something that may expire, and gives orders to those shards' actors only.
/// So an idle universe handles one message a second here, however many shards it has.
///
/// When the log has become so long that writers may have to wait (engine::log_presses), or has
/// failed, it does not wait for its turn. A log that has failed is mended (engine::mend_log): first
/// at once, then again with each turn, as often as the engine allows.
///
/// Two checkpoints are on their way at most, the most urgent first; when one is done the next is
/// ordered at once, after a failure with the next turn. A shard with expiring keys is swept every 8
/// s, and every second while sweeps find something.
child_spec upkeep(node& n, std::chrono::milliseconds interval = std::chrono::seconds{1});

} // namespace warp::actors
