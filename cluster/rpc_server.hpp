#pragma once

#include "messages/limits.hpp"
#include "messages/status.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace warp::storage {
class engine;
}

namespace warp::cluster {

class admin_backend;
class cluster_view;
class gpu_backend;
class physics_backend;

/// How the Cap'n Proto front end listens and what it allows.
struct rpc_server_options {
  /// "host:port"; port 0: any free one, see rpc_server::port().
  std::string listen = "127.0.0.1:7400";
  /// I/O threads, at least 1. Each listens on the port itself where the kernel allows it, else the
  /// first one does; a connection goes to the thread that has the fewest.
  std::size_t threads = 1;
  std::size_t listeners_max = 0; ///< threads that listen, at most; 0: all
  /// CPUs of the I/O threads, as parse_cpu_list() reads them: thread n runs on the n-th of them,
  /// from the start again when there are more threads. Empty: wherever the system likes.
  std::string cpus;
  std::size_t connections_max = 10'000; ///< further ones are closed at once and counted

  /// Bytes of answers a client may leave unread before its requests are not read any more ...
  std::size_t output_buffer_bytes = 16u << 20;
  /// ... and for how long nothing of them may get through before it is disconnected.
  std::chrono::milliseconds output_stall_max{30'000};
  /// Watches that one connection may have.
  std::size_t watches_max = 10'000;
  /// Calls of one connection that may wait for the disk at the same time; the next one is refused
  /// with overloaded, and nothing of it was done.
  std::size_t waiting_calls_max = 10'000;
  /// A peer that has not logged in after this time is disconnected.
  std::chrono::milliseconds login_max{10'000};
  /// Longest wait for durability of a call that has no deadline of its own.
  std::chrono::milliseconds durable_wait_max{30'000};
  /// stop() waits so long for calls under way and for answers to leave.
  std::chrono::milliseconds drain_max{5'000};

  /// Called on an I/O thread for each login: ok lets the token in. Must not block. Null: only the
  /// empty token is let in.
  std::function<op_status(std::string_view token)> authenticate;
  /// What the universe knows of itself; borrowed until the server is destroyed. Null:
  /// not_supported.
  physics_backend* physics = nullptr;
  gpu_backend* gpu = nullptr; ///< what is computed beside the data path; the same
  /// The cluster that this node belongs to; borrowed. Null: a node alone, which serves all shards.
  cluster_view* cluster = nullptr;
  /// Program version that clients are told.
  std::string version;
};

/// Counters since start, for the metrics collector; any thread may read them at any time. Each is
/// exact on its own. Each I/O thread has its own, in cache lines that nobody else writes.
struct alignas(64) rpc_counters {
  std::atomic<std::uint64_t> connections_opened{0};
  std::atomic<std::uint64_t> connections_open{0}; ///< now
  /// Over connections_max, or for want of descriptors (descriptors.hpp).
  std::atomic<std::uint64_t> connections_refused{0};
  std::atomic<std::uint64_t> connections_dropped{
      0}; ///< for a malformed, oversized or stalled stream, or no login
  std::atomic<std::uint64_t> slow_consumers_dropped{0}; ///< of those: for answers left unread
  std::atomic<std::uint64_t> logins_refused{0};
  std::atomic<std::uint64_t> calls_refused{0}; ///< over waiting_calls_max
  std::atomic<std::uint64_t> calls{0};         ///< RPC calls
  std::atomic<std::uint64_t> operations{0};    ///< operations in them
  std::atomic<std::uint64_t> errors{
      0}; ///< operations and calls answered with a code that is a failure
  std::atomic<std::uint64_t> bytes_received{0};
  std::atomic<std::uint64_t> bytes_sent{0};
  std::atomic<std::uint64_t> waiting_durable{0}; ///< calls that wait for the disk now

  rpc_counters() = default;
  /// A copy is a snapshot.
  rpc_counters(const rpc_counters& other) { add(other); }
  rpc_counters& operator=(const rpc_counters&) = delete;
  void add(const rpc_counters& other) noexcept;
};

/// The Cap'n Proto RPC front end (messages/warp.capnp). Its I/O threads run KJ event loops and call
/// engine::execute() directly; a call that must wait for the disk is parked in a list of its
/// thread, which the group commit wakes once a round. Admin calls run on one further thread.
class rpc_server {
public:
  /// The I/O threads for a machine of so many cores: one up to four cores, then one for each four
  /// (the others are for clients, log and checkpoints), at most 16.
  [[nodiscard]] static std::size_t threads_for(std::size_t cores) noexcept;

  /// What can be said about the options without a port: invalid_argument for 0 threads and for CPUs
  /// that this process may not use, with the reason.
  static op_status check(const rpc_server_options& options);

  /// Begins to listen. `engine` and `admin` are borrowed until the server is destroyed; `admin`
  /// null: admin() answers not_supported. Fails with unavailable (the port is in
  /// use), unauthorized (no right to it), invalid_argument (no such address here, or
  /// check()), io_error; the message has address, port and reason.
  static op_result<std::unique_ptr<rpc_server>>
  start(rpc_server_options options, storage::engine& engine, admin_backend* admin);

  /// As stop().
  ~rpc_server();
  rpc_server(const rpc_server&) = delete;
  rpc_server& operator=(const rpc_server&) = delete;

  /// The port it listens on.
  [[nodiscard]] std::uint16_t port() const noexcept;
  /// The sum over all threads, now.
  [[nodiscard]] rpc_counters counters() const noexcept;
  /// Connections that each I/O thread serves now.
  [[nodiscard]] std::vector<std::size_t> connections_by_thread() const;

  /// Accepts nothing more, answers new calls with shutting_down, lets calls under way end and their
  /// answers leave within options.drain_max, then closes. Blocks; an admin call under way is waited
  /// for without that bound. From any thread but the server's own; a second call does nothing. The
  /// log streams should still be driven while it drains.
  void stop();

private:
  struct state;
  explicit rpc_server(std::unique_ptr<state> s);
  std::unique_ptr<state> state_;
};

} // namespace warp::cluster
