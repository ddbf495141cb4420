#pragma once

#include "cluster/admin.hpp"
#include "cluster/durable_waiters.hpp"
#include "cluster/job_thread.hpp"
#include "cluster/kj_loop.hpp"
#include "cluster/rpc_context.hpp"
#include "cluster/rpc_server.hpp"
#include "storage/engine.hpp"

#include <atomic>
#include <chrono>
#include <kj/async.h>
#include <kj/common.h>
#include <list>
#include <memory>
#include <optional>
#include <string>

namespace warp::cluster {

/// What the I/O threads of a server have in common; borrowed from it.
struct rpc_shared {
  storage::engine& engine;
  admin_backend* admin;
  job_thread& admin_jobs;
  const rpc_server_options& options;
  std::atomic<std::size_t>& connections_open; ///< of all threads
  std::chrono::steady_clock::time_point started;
};

/// One I/O thread of the server: an event loop, the connections that were dealt to it, and their
/// calls that wait.
class rpc_io_thread {
public:
  /// Starts the thread, on that CPU if one is given. Borrows `shared`.
  rpc_io_thread(rpc_shared shared, std::size_t number, std::optional<int> cpu);
  /// drain() must have been called.
  ~rpc_io_thread();
  rpc_io_thread(const rpc_io_thread&) = delete;
  rpc_io_thread& operator=(const rpc_io_thread&) = delete;

  /// Any thread: serves the connected socket, which is taken over. `peer`: its address, for logs.
  /// It has been counted in connections_open.
  void adopt(int socket, std::string peer);
  /// Connections that it serves or is about to; any thread.
  [[nodiscard]] std::size_t connections() const noexcept {
    return connections_.load(std::memory_order_relaxed);
  }
  /// Any thread: refuses new calls, waits within options.drain_max until those under way are
  /// answered and the answers are sent, then closes all and ends.
  void drain();
  void join() { loop_.join(); }

  /// The event loop, for the acceptor that shares it.
  [[nodiscard]] kj_loop& loop() noexcept { return loop_; }
  [[nodiscard]] rpc_counters& counters() noexcept { return counters_; }

private:
  class connection;
  /// What lives on the loop.
  struct on_loop;

  kj::Promise<void> run(kj_loop& loop);
  void serve(int socket, const std::string& peer);
  void closed(connection& c);
  void left() noexcept;
  void log_dropped(const std::string& peer, const std::string& why);
  kj::Promise<void> drained(std::chrono::steady_clock::time_point deadline);

  rpc_shared shared_;
  const std::optional<int> cpu_;
  rpc_counters counters_;
  std::atomic<std::size_t> connections_{0};
  std::unique_ptr<on_loop> state_; // set and cleared by the loop
  kj_loop loop_;                   // last: runs on all of the above
};

} // namespace warp::cluster
