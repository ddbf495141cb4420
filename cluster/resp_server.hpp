#pragma once

#include "messages/operations.hpp"
#include "messages/status.hpp"

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace warp::storage {
class engine;
}

namespace warp::cluster {

class cluster_view;
class physics_backend;

/// How the RESP front end listens and what it allows.
struct resp_server_options {
  /// "host:port"; port 0: any free one, see resp_server::port().
  std::string listen = "127.0.0.1:7379";
  /// I/O threads, at least 1; a connection goes to the one that has the fewest.
  std::size_t threads = 1;
  std::size_t connections_max = 10'000; ///< further ones are told so and closed
  /// Longest command, bytes: what a connection keeps of one that has not arrived as a whole.
  std::size_t input_buffer_bytes = 256u << 20;
  /// Bytes of answers a client may leave unread before its requests are not read any more ...
  std::size_t output_buffer_bytes = 16u << 20;
  /// ... and for how long nothing of them may get through before it is disconnected.
  std::chrono::milliseconds output_stall_max{30'000};
  /// Messages to a subscriber that may wait for it; one more and it is disconnected, bytes.
  std::size_t pubsub_buffer_bytes = 32u << 20;
  /// Longest wait for the disk before an answer says that the outcome is not known.
  std::chrono::milliseconds durable_wait_max{30'000};
  /// stop() waits so long for answers to leave.
  std::chrono::milliseconds drain_max{5'000};
  /// Level of the writes of a connection that has not chosen one; unspecified: the engine's.
  durability level = durability::unspecified;

  /// What the universe knows of itself, for WARP.QGET and its like; borrowed. Null: they are
  /// refused.
  physics_backend* physics = nullptr;
  /// The cluster that this node belongs to; borrowed. Null: a node alone, which serves all slots,
  /// and any of them in one command. In a cluster the keys of a command, and of a transaction, are
  /// of one slot; who names a slot that another node serves is told so: see resp_cluster.hpp. What
  /// works on all keys (DBSIZE, KEYS, SCAN, ...) means those of the shards that this node serves.
  cluster_view* cluster = nullptr;
  std::string version; ///< of the program, for INFO
  /// For SHUTDOWN: begins to stop the process and returns; empty: SHUTDOWN is refused. On an I/O
  /// thread.
  std::function<void()> shut_down;
  /// For SAVE and BGSAVE: begins checkpoints of what has changed; `done` is called when they are
  /// written. Empty: refused.
  std::function<void(std::function<void(op_status)> done)> checkpoint;
};

/// Counters since start, for the metrics collector; any thread may read them at any time. Each I/O
/// thread writes its own.
struct alignas(64) resp_counters {
  std::atomic<std::uint64_t> connections_opened{0};
  std::atomic<std::uint64_t> connections_open{0}; ///< now
  /// Over connections_max, or for want of descriptors (descriptors.hpp).
  std::atomic<std::uint64_t> connections_refused{0};
  std::atomic<std::uint64_t> connections_dropped{0};    ///< for a broken protocol or a limit
  std::atomic<std::uint64_t> slow_consumers_dropped{0}; ///< of those: for answers left unread
  std::atomic<std::uint64_t> commands{0};
  std::atomic<std::uint64_t> errors{0}; ///< commands answered with an error
  std::atomic<std::uint64_t> bytes_received{0};
  std::atomic<std::uint64_t> bytes_sent{0};
  std::atomic<std::uint64_t> waiting_durable{0};      ///< answers that wait for the disk now
  std::atomic<std::uint64_t> transactions{0};         ///< EXEC that was done
  std::atomic<std::uint64_t> transactions_aborted{0}; ///< for a watched key
  std::atomic<std::uint64_t> published{0};            ///< messages
  std::atomic<std::uint64_t> hits{0}, misses{0};      ///< of keys that were read

  resp_counters() = default;
  /// A copy is a snapshot.
  resp_counters(const resp_counters& other) { add(other); }
  resp_counters& operator=(const resp_counters&) = delete;
  void add(const resp_counters& other) noexcept;
};

/// One more, by the thread whose counter it is: without a locked instruction.
inline void bump(std::atomic<std::uint64_t>& counter, std::uint64_t by = 1) noexcept {
  counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
}

/// The RESP front end: Redis's protocol, versions 2 and 3. Its I/O threads have event loops of
/// their own (epoll) and call engine::execute() directly. cluster/RESP.md lists the commands.
class resp_server {
public:
  /// The I/O threads for a machine of so many cores, as rpc_server::threads_for().
  [[nodiscard]] static std::size_t threads_for(std::size_t cores) noexcept;

  /// Begins to listen. The engine is borrowed until the server is destroyed. Fails with unavailable
  /// (the port is in use), unauthorized (no right to it), invalid_argument (no such address here,
  /// or a level that the engine cannot give), io_error.
  static op_result<std::unique_ptr<resp_server>> start(resp_server_options options,
                                                       storage::engine& engine);
  /// As stop().
  ~resp_server();
  resp_server(const resp_server&) = delete;
  resp_server& operator=(const resp_server&) = delete;

  [[nodiscard]] std::uint16_t port() const noexcept;
  /// The sum over all threads, now.
  [[nodiscard]] resp_counters counters() const noexcept;
  [[nodiscard]] std::vector<std::size_t> connections_by_thread() const;

  /// Accepts nothing more, takes no more commands, lets answers leave within options.drain_max,
  /// then closes. Blocks. From any thread but the server's own; a second call does nothing. The log
  /// streams should still be driven while it drains.
  void stop();

private:
  struct state;
  explicit resp_server(std::unique_ptr<state> s);
  std::unique_ptr<state> state_;
};

/// cluster/RESP.md: the table of commands, from the registry that serves them.
std::string resp_command_table();

} // namespace warp::cluster
