#pragma once

#include "cluster/listen_socket.hpp"
#include "cluster/resp_clients.hpp"
#include "cluster/resp_commands.hpp"
#include "cluster/resp_connection.hpp"
#include "cluster/resp_nap_judge.hpp"
#include "cluster/resp_pubsub.hpp"
#include "cluster/resp_server.hpp"
#include "cluster/resp_settings.hpp"
#include "cluster/resp_slow_log.hpp"
#include "storage/clock.hpp"
#include "storage/engine.hpp"

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

namespace warp::cluster {

/// What the I/O threads of a server have in common.
struct resp_shared {
  resp_shared(resp_server_options o, storage::engine& e, std::uint16_t on_port);

  const resp_server_options options;
  storage::engine& engine;
  const std::uint16_t port;
  const std::shared_ptr<const storage::clock> time;
  const std::int64_t started_at_ms;
  const std::string run_id; ///< 40 hexadecimal digits, new at each start
  resp_settings settings;
  resp_clients clients;
  resp_pubsub pubsub;
  resp_slow_log slow_log;
  std::atomic<std::size_t> connections_open{0}; ///< of all threads
  std::atomic<std::int64_t> pause_until_ms{0};  ///< CLIENT PAUSE
  std::atomic<bool> pause_writes_only{false};
  std::atomic<std::int64_t> last_save_s;
  std::atomic<bool> saving{false};
  resp_counters reset_at;         ///< what INFO leaves out: all until CONFIG RESETSTAT
  const durability default_level; ///< of a write that names none
  std::vector<std::unique_ptr<resp_io_thread>> threads;

  [[nodiscard]] std::uint64_t now_ms() const noexcept { return time->now_ms(); }
};

/// How often a command was called, by the thread that did it.
struct command_count {
  std::atomic<std::uint64_t> calls{0}, took_us{0}, rejected{0}, failed{0};
};

/// One I/O thread of the server: an epoll loop, the socket that it accepts on, and the connections
/// that were dealt to it.
///
/// A turn of the loop: one read of each connection that has sent something; all commands that have
/// arrived as a whole, those that are one operation of the engine gathered into batches over all
/// connections; then one write to each. So a turn's answers leave together, and clients that share
/// a thread of their own are woken once for many of them. The round of the log that makes answers
/// durable wakes the loop once, and only if somebody waits.
class resp_io_thread final : public storage::round_listener {
public:
  /// Borrows `shared`, which must be complete when start() is called.
  resp_io_thread(resp_shared& shared, std::size_t number);
  ~resp_io_thread() override;
  resp_io_thread(const resp_io_thread&) = delete;
  resp_io_thread& operator=(const resp_io_thread&) = delete;

  void start(std::optional<listen_socket> listener);
  /// Any thread. Ends listening; begin_drain() lets what is under way leave, then the thread ends.
  void stop_listening();
  void begin_drain();
  void join();

  // -- any thread
  void adopt(int fd) noexcept; ///< it has been counted in connections_open
  void post(std::function<void()> work);
  /// As post(), for messages to subscribers, which stay in order; `wakes`: or else the caller is
  /// this thread, and calls take_messages().
  void post_message(std::function<void()> work, bool wakes);
  [[nodiscard]] std::size_t connections() const noexcept {
    return connections_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] const resp_counters& counters() const noexcept { return counters_; }
  [[nodiscard]] const command_count& count_of(std::uint32_t command) const noexcept {
    return command_counts_[command];
  }
  void reset_counts() noexcept;
  void on_round() noexcept override; ///< nothing in a cluster, where answers are told of
  void on_answers() noexcept override;

  // -- for commands, on the thread
  [[nodiscard]] std::uint32_t number() const noexcept { return number_; }
  [[nodiscard]] resp_connection* find(std::uint64_t client) noexcept;
  /// Closes a connection of this thread; `self`: the one whose command runs, which gets its answer.
  void kill(std::uint64_t client, bool self);
  /// A message to a connection of this thread: written behind what it has, or the connection is
  /// dropped when too much waits for it.
  void push(resp_connection& c, std::string_view message);
  /// Takes no more commands of the connection until then; its reply is written then.
  void pause(resp_connection& c, std::chrono::steady_clock::time_point until, std::string reply);
  void resume(std::uint64_t client, std::string_view reply);
  void resume_paused(); ///< all that CLIENT PAUSE has paused
  /// What the connection has written from `begin` on waits for the disk.
  void hold(resp_connection& c, std::uint64_t begin, std::span<const durable_target> targets,
            std::chrono::steady_clock::time_point deadline, std::string_view instead = {});
  [[nodiscard]] resp_counters& counts() noexcept { return counters_; }
  /// Counts a read of a key, as Redis counts keyspace_hits and keyspace_misses.
  void note_lookup(bool found) noexcept { bump(found ? counters_.hits : counters_.misses); }
  /// For what may run more than once: those that were counted until now, to be set again.
  struct lookups {
    std::uint64_t hits, misses;
  };
  [[nodiscard]] lookups counted_lookups() const noexcept {
    return {counters_.hits.load(std::memory_order_relaxed),
            counters_.misses.load(std::memory_order_relaxed)};
  }
  void count_again_from(const lookups& before) noexcept {
    counters_.hits.store(before.hits, std::memory_order_relaxed);
    counters_.misses.store(before.misses, std::memory_order_relaxed);
  }
  /// Of a connection: as if it was new (RESET).
  void reset(resp_connection& c);
  void run_data(resp_call& call);
  /// What has happened to a command, as failure_text(), or where its key is now: another node may
  /// serve it since the command began.
  [[nodiscard]] std::string failure_at(op_code code, std::string_view key) const;
  /// In a cluster: what keeps a command with these keys from being done here; else empty.
  [[nodiscard]] std::string misplaced_keys(std::span<const std::string_view> keys) const;
  void unsubscribe_all(resp_connection& c);
  void take_messages();

private:
  using clock = std::chrono::steady_clock;
  static constexpr std::size_t batch_size = 256;
  static constexpr auto gather_max = std::chrono::microseconds{200};
  static constexpr auto nap = std::chrono::microseconds{40};

  void loop();
  [[nodiscard]] int turn(int timeout_ms); ///< how many descriptors were ready
  void request_rounds() noexcept;
  void accept_some();
  void complain(std::string_view what);
  void look_away(std::string_view reason);
  void serve(int fd) noexcept;
  void begin_connection(int fd);
  void give_up(int fd) noexcept;
  void take_posts();
  void read_from(resp_connection& c);
  void process(resp_connection& c);
  void share_of_batch(resp_connection& c, std::size_t from);
  void flush_batch() noexcept;
  void note_slow_batch(std::int64_t took_us) noexcept;
  void answer_batched(resp_connection& c, std::size_t from, std::size_t to);
  void write_batched(resp_connection& c, std::size_t i);
  [[nodiscard]] const resp_command* look_up(std::string_view name) noexcept;
  /// False: the command is to be looked at again later.
  bool dispatch(resp_connection& c, const resp_command* command);
  [[nodiscard]] bool admit(resp_connection& c, const resp_command* command);
  void run(resp_connection& c, const resp_command& command);
  void send(resp_connection& c);
  [[nodiscard]] static bool has_unheard(const resp_connection& c) noexcept;
  void send_answers(const resp_connection& of) noexcept;
  void wait_for_marks(resp_connection& c);
  void release_marks(resp_connection& c);
  void fail_front_mark(resp_connection& c, op_code code);
  void put_aside(resp_buffer& buffer);
  void give_spare(resp_buffer& buffer);
  void take_spare(resp_buffer& buffer) noexcept;
  [[nodiscard]] bool is_here(std::string_view key) const noexcept;
  [[nodiscard]] std::string_view when_lost(bool reads_only) const noexcept;
  void update_interest(resp_connection& c);
  void mark_dirty(resp_connection& c);
  void drop(resp_connection& c, std::string_view reason);
  void close(resp_connection& c);
  void sweep_waiting();
  void tick(clock::time_point now);
  [[nodiscard]] int timeout_ms() const noexcept;
  void wake() noexcept;

  resp_shared& shared_;
  const std::uint32_t number_;
  resp_counters counters_;
  std::unique_ptr<command_count[]> command_counts_;
  std::atomic<std::size_t> connections_{0};
  int epoll_ = -1, event_ = -1;
  std::optional<listen_socket> listener_;
  std::thread thread_;
  resp_limits limits_;

  std::mutex posts_mutex_;
  std::vector<std::function<void()>> posts_, messages_;
  std::atomic<bool> woken_{false};
  std::atomic<std::uint32_t> waiting_count_{0}; // connections with marks, for the log's writers

  std::unordered_map<std::uint64_t, std::unique_ptr<resp_connection>> by_id_;
  std::vector<resp_connection*> dirty_, waiting_, dead_;
  std::size_t paused_ = 0, unsent_ = 0;
  clock::time_point ticked_at_, accept_again_at_, complained_at_;
  bool accepting_ = true, draining_ = false, stopped_ = false;
  clock::time_point drain_until_;

  // What is let gather
  std::vector<std::uint64_t> unsynced_; // a bit a shard: it has what no round was asked for
  bool any_unsynced_ = false;
  clock::time_point unsynced_since_, turned_at_;
  resp_nap_judge nap_judge_;

  // Of the command or batch at hand
  std::vector<std::string_view> arguments_, keys_;
  std::uint64_t now_ms_ = 0;
  resp_view view_;
  std::vector<resp_buffer> spares_;
  std::size_t spare_bytes_ = 0; // of all of them
  const resp_command* last_command_ = nullptr;
  std::string_view last_name_;
  char last_bytes_[16] = {};
  std::size_t batch_count_ = 0;
  struct batch_share {
    resp_connection* connection;
    std::size_t operations;
  };
  bool batch_syncs_ = false;        // some of the batch waits for the disk
  clock::time_point batch_done_at_; // of the last one with such
  std::vector<batch_share> shares_; // of the batch, in its order; room for all that a turn can have
  std::array<operation, batch_size> operations_;
  std::array<storage::op_reply, batch_size> replies_;
  std::array<reply_shape, batch_size> shapes_;
  std::array<std::uint32_t, batch_size> numbers_; // of the commands
  storage::value_arena arena_;
};

} // namespace warp::cluster
