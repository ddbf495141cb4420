#pragma once

#include "cluster/admin.hpp"
#include "cluster/durable_waiters.hpp"
#include "cluster/job_thread.hpp"
#include "cluster/message_limits.hpp"
#include "cluster/rpc_server.hpp"
#include "cluster/rpc_watch.hpp"
#include "messages/operations.hpp"
#include "storage/engine.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <kj/timer.h>
#include <vector>

namespace warp::cluster {

/// What the RPC objects of one I/O thread share. They run on that thread only, one after the other,
/// so the scratch memory is free whenever a call begins. Lives longer than all of them.
struct rpc_context {
  storage::engine& engine;
  admin_backend* admin; ///< null: this server has none
  job_thread& admin_jobs;
  const rpc_server_options& options;
  rpc_counters& counters;
  durable_waiters& waiters;
  rpc_watches& watches;
  kj::Timer& timer;
  std::chrono::steady_clock::time_point started; ///< the server began to listen
  bool draining = false;                         ///< stop() has begun: new calls are refused
  std::size_t admin_calls = 0;                   ///< under way

  /// Operations that are executed together: what one pass of the engine prefetches.
  static constexpr std::size_t chunk_size = 256;
  std::vector<operation> operations;
  std::vector<storage::op_reply> replies;
  storage::value_arena arena;
};

} // namespace warp::cluster
