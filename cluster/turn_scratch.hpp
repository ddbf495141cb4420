#pragma once

#include "cluster/replication/replica_events.hpp"
#include "storage/replicated_shard.hpp"

#include <cstdint>
#include <vector>

namespace warp::cluster {

/// Room for what lasts no longer than one call of a replication_host. It is the thread's, who calls
/// one host after the other, and not each host's: what the last one has used is in the cache.
struct turn_scratch {
  std::vector<replication::client_write> gathered; ///< executed, and not logged
  std::vector<std::uint32_t> told; ///< reads of one execute(), which depend on nothing
  std::vector<replication::replica_action> actions; ///< of one step
  std::vector<storage::copied_record> copied;       ///< of one run that is logged

  [[nodiscard]] static turn_scratch& of_this_thread() {
    thread_local turn_scratch mine;
    return mine;
  }
};

} // namespace warp::cluster
