#pragma once

#include "messages/ids.hpp"
#include "messages/limits.hpp"
#include "messages/operations.hpp"
#include "messages/status.hpp"
#include "messages/watch.hpp"
#include "storage/backup.hpp"
#include "storage/clock.hpp"
#include "storage/durable_state.hpp"
#include "storage/engine_options.hpp"
#include "storage/file_system.hpp"
#include "storage/hash_view.hpp"
#include "storage/read_counters.hpp"
#include "storage/reply.hpp"
#include "storage/stats.hpp"
#include "storage/watch.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace warp::storage {

/// Told after each round of a log stream, on the writer's thread, when durable LSNs have advanced
/// or the stream has failed. Must not block: set a flag, wake a loop. One per I/O thread, so that a
/// thread is woken once per round.
class round_listener {
public:
  virtual ~round_listener() = default;
  virtual void on_round() noexcept = 0;
  /// Of a replicated universe: told in the same way, on any thread, after tickets were resolved.
  virtual void on_answers() noexcept { on_round(); }
};

class key_mark;
class transaction;

/// How a transaction's body ends.
enum class transaction_end : std::uint8_t {
  commit, ///< do what was applied
  abort,  ///< none of it
};
using transaction_body = std::function<transaction_end(transaction&)>;

struct transaction_options {
  durability level = durability::unspecified; ///< of what the body reads with transaction::find()
  bool all_shards = false;                    ///< locks every shard; the keys need not be named
};

class backup_store;
class replicated_executor;
class replicated_shard;
struct applied_place;
class told_streams;
class batch;
class log_cursor;
struct backup_manifest;
struct log_frame;
struct recovered;

/// One page of a scan.
struct scan_entry {
  std::string_view key, value; ///< in the page's arena, or in `large`; of a hash see fields()
  blob_ref large;
  value_type type = value_type::bytes;
  lsn_t version = 0;
  std::uint64_t expires_at_ms = 0;

  [[nodiscard]] hash_view fields() const noexcept { return {value, large.get()}; } ///< of a hash
};
struct scan_page {
  std::vector<scan_entry> entries;
  value_arena arena;
  std::uint64_t next_cursor = 0; ///< 0: the scan is over
};

/// The storage engine of one node: P shards with their tables, their logs in W streams, checkpoints
/// and the manifest, in one data folder (or in memory only). Thread-safe: I/O threads call
/// execute() directly, no call passes a mailbox.
///
/// Where the system gives no memory, a call answers no_space and nothing of it was done (a
/// follower's frame: a whole number of its records); what runs in the background is tried again by
/// the next call. No call ends the process or throws for it.
///
/// It starts no thread. Somebody must drive each log stream by calling run_stream() in a loop on a
/// thread of its own (the WAL writer actors do; storage/stream_threads.hpp does for tools and
/// tests), and call due_checkpoints(), checkpoint(),
/// mend_log() and sweep_expired() now and then. Somebody
/// should drive a segment_maker, and call run_watches() where there are watches.
///
/// The log on disk stays below options.wal_max_bytes. When checkpoints can't follow, writers pause,
/// as for a full log buffer, while the segments that only wait for checkpoints take
///
///     pause = max(wal_max / 2, wal_max - on_its_way)
///     on_its_way = streams * (log_buffer_bytes + 3 * segment_bytes)
///
/// What is appended by then still gets to disk, so that the checkpoints which make room can end:
/// the log is never longer than pause + on_its_way and a batch of each thread that writes. Old
/// segments are let go from half of `pause` on; from five eighths on the log presses: checkpoints
/// are made of the shards that hold it back, and no rate limits them.
class engine {
public:
  /// Opens or creates the data folder, recovers what is in it on options.recovery_threads threads,
  /// and reserves LSNs. Fails, and leaves the folder as it was, with: unavailable (another process
  /// has it), corruption (damage that would lose acknowledged data; the message names file, offset
  /// and cause), version_mismatch (a newer format), invalid_argument (not a data folder of ours, or
  /// options that contradict it), no_space, io_error.
  static op_result<std::unique_ptr<engine>> open(engine_options options);
  ~engine();
  engine(const engine&) = delete;
  engine& operator=(const engine&) = delete;

  // -- the data path; any thread
  // -----------------------------------------------------------------------------------

  /// Executes each operation on its own, in an order that keeps the order of operations on the same
  /// key, and fills replies[i] for operations[i]. Does not wait for the disk: a reply whose
  /// durable_at is not 0 may be given out once durable(shard, durable_at) says so. May wait,
  /// bounded by options.write_stall_max, while a log buffer is full (then overloaded). spans of
  /// equal size; values are copied to `arena`.
  void execute(std::span<const operation> operations, std::span<op_reply> replies,
               value_arena& arena);
  /// The same, but nothing asks the log for a round: the caller does, with request_sync() for the
  /// shards of replies that have a durable_at, when it has executed what else it has at hand. So
  /// one round serves all of it.
  void execute_unsynced(std::span<const operation> operations, std::span<op_reply> replies,
                        value_arena& arena);

  /// All or nothing: locks the shards in ascending order, checks every condition, then applies all,
  /// atomically for readers and in the log also across shards. If a condition fails nothing is
  /// done: that reply has its code, the others `unavailable`, and the returned code is that of the
  /// first failure. A read inside sees the writes before it.
  op_code execute_atomic(std::span<const operation> operations, std::span<op_reply> replies,
                         value_arena& arena);

  /// Runs `body` with the locks of these keys' shards held, in ascending order, and does what it
  /// has applied atomically: for readers, for other transactions, and in the log also across
  /// shards; or nothing, when it says so or anything fails. The body works on the tables
  /// themselves; see transaction.hpp. It may run more than once, and then sees newer data: what it
  /// does elsewhere must bear that. Waits up to options.write_stall_max in all where the log has no
  /// room for what it writes. ok: what the body said was done, and `waits` says what must be
  /// durable before that may be told, at the levels that were asked for. Else nothing was done:
  /// transaction::failure(), or no_space. `body` may throw std::bad_alloc (no_space) and nothing
  /// else.
  op_code transact(std::span<const std::string_view> keys, const transaction_options& options,
                   const transaction_body& body, std::vector<durable_target>& waits);

  /// How a key is now, for transaction::has_changed(). Includes what is not durable yet.
  [[nodiscard]] op_result<key_mark> mark(std::string_view key);

  /// Is the shard's log on disk up to `lsn`? Lock-free.
  [[nodiscard]] durable_state durable(shard_id shard, lsn_t lsn) const noexcept;
  /// Blocks until every reply's durable_at is on disk. ok, timed_out (nothing is known), or
  /// outcome_unknown after a log failure.
  op_code wait_durable(std::span<const op_reply> replies,
                       std::chrono::steady_clock::time_point deadline);
  /// Asks the writers of these shards for a round now; execute() does it itself for writes at level
  /// sync.
  void request_sync(shard_id shard) noexcept;

  /// The next records in hash order whose key starts with `prefix`: about `limit` of them (a bucket
  /// is never split), after looking at no more than `buckets_max` buckets. Cursor 0 starts; a
  /// returned 0 ends. Every key that is present for the whole scan is returned; some may come
  /// twice. Cursors stay valid over writes, growth and restarts with the same shard count.
  op_status scan(std::uint64_t cursor, std::string_view prefix, std::size_t limit, scan_page& page,
                 std::size_t buckets_max = 1'000);

  [[nodiscard]] shard_id shard_of(std::string_view key) const noexcept;
  [[nodiscard]] std::uint32_t shard_count() const noexcept;

  // -- what is asked for, in samples (observation.hpp)
  // ---------------------------------------------------------------------------------------------

  /// Begins or ends sampling of what all threads ask for. Any thread, at any time.
  void observe_accesses(bool on) noexcept;
  [[nodiscard]] bool observes_accesses() const noexcept;
  /// While accesses are sampled, every access of one key in so many is (by its hash: of a key all
  /// or none); 0: none. engine_options::observation says what it begins with. The same.
  void watch_keys(std::uint32_t one_in) noexcept;
  /// What was sampled since the last time. One thread at a time.
  physics::observer::drained
  drain_samples(const std::function<void(std::span<const physics::access_sample>)>& use);

  /// Single operations of the calling thread that follow belong to this connection, until another
  /// beginning. Where nothing begins they all belong to one. Any number that tells the connections
  /// of a thread apart.
  void begin_stream(std::uint64_t connection) noexcept;
  /// All operations of the calling thread that follow, of whatever calls, belong to one request of
  /// about so many, until another beginning. A batch is a request of its own without it.
  void begin_request(std::size_t operations) noexcept;

  // -- the log
  // ------------------------------------------------------------------------------------------------------

  [[nodiscard]] std::uint32_t stream_count() const noexcept;
  /// One turn of a log stream: waits up to `wait_max` for work (returns early on interrupt_stream),
  /// then writes and syncs one round. Called by one thread per stream at a time.
  void run_stream(std::uint32_t stream, std::chrono::milliseconds wait_max);
  void interrupt_stream(std::uint32_t stream) noexcept;
  /// From now on the calling thread, one that drives a stream, runs on options.wal_cpus.
  /// invalid_argument: this process may not use them; then it goes on as it was.
  [[nodiscard]] op_status pin_stream_thread() const;
  /// Registered for all streams; must outlive the registration.
  void add_round_listener(round_listener& listener);
  void remove_round_listener(round_listener& listener);

  // -- watching
  // -----------------------------------------------------------------------------------------------------

  /// Tells of the changes of a key or of all keys with a prefix; the contract is in
  /// messages/watch.hpp. Every change that is made after the call returned is among them. A watch
  /// that nobody takes from holds options.watch_buffer_bytes about twice over; it never slows
  /// writers down. `on_ready` is called on the thread that runs run_watches(): it must not block
  /// and not call the watch; set a flag, wake a loop. The engine may go before the watch, which
  /// then is over.
  ///   invalid_argument  a key, token or start that makes no sense
  ///   no_replicas       level durable in a universe in memory only
  ///   overloaded        options.watches_max are there already
  op_result<std::unique_ptr<watch>> watch_changes(watch_options options,
                                                  std::function<void()> on_ready);
  /// One turn of what carries changes to watches: waits up to `wait_max` for work (returns early on
  /// interrupt_watches), then does a bounded part of it. Reads the log where a watch is behind.
  void run_watches(std::chrono::milliseconds wait_max);
  void interrupt_watches() noexcept;
  [[nodiscard]] watch_stats stats_of_watches() const;

  // -- following another copy of a shard
  // -------------------------------------------------------------------------------

  /// The shard's log from the record behind `after` on, live; null in memory only. Up to its
  /// durable LSN frames stay as they are.
  [[nodiscard]] std::unique_ptr<log_cursor> read_log(shard_id shard, lsn_t after);
  /// Takes over a frame of the same shard's log from another copy: applies and logs its records
  /// with the LSNs they have; those that are here already are passed over. wrong_shard: the frame's
  /// epoch is over; version_mismatch: frames before it are missing (the message says where this
  /// copy ends); corruption: nothing was changed.
  op_status apply_frame(shard_id shard, const log_frame& frame);
  /// Fills an empty shard from a checkpoint file of another copy (checkpoint_transfer.hpp brings
  /// one here), then makes a checkpoint of its own. The file stays the caller's.
  op_status install_checkpoint(shard_id shard, const std::string& path);
  /// A shard of a replicated universe (options.replicated) as one of several copies; at most one
  /// at a time of a shard.
  [[nodiscard]] std::unique_ptr<replicated_shard> replicate(shard_id shard);
  /// In a replicated universe: who executes in the engine's place (borrowed), from before anybody
  /// asks until nobody does any more; null again then. execute(), execute_unsynced(),
  /// execute_atomic(), transact(), mark(), durable() and wait_durable() go there, and scan() passes
  /// over shards that it does not serve.
  void set_executor(replicated_executor* executor) noexcept;
  /// Tells all round listeners that answers may have become ready.
  void tell_listeners();
  /// Counts the starts of this data folder, from 1; 0 in memory only.
  [[nodiscard]] std::uint64_t start_number() const noexcept;
  /// Path of the shard's newest published checkpoint; empty: none.
  [[nodiscard]] std::string newest_checkpoint(shard_id shard) const;

  // -- checkpoints and upkeep; any thread, one at a time per shard
  // ---------------------------------------------------------------

  /// Writes a checkpoint of the shard while writes go on, publishes it, and lets old files go. ok
  /// without doing anything when the shard has not changed since its last one. Blocks; needs the
  /// streams to be driven.
  op_status checkpoint(shard_id shard);
  /// Has a log stream failed, and no checkpoints yet in its place? Its shards refuse writes
  /// (io_error); reads go on.
  [[nodiscard]] bool log_failed() const noexcept;
  /// Writes checkpoints of all shards of the streams that have failed, publishes them together, and
  /// lets run_stream() start new chains: then writes are accepted again. ok without doing anything
  /// when none has failed. After a failure the next attempt comes after options.log_retry_min,
  /// later ones after twice as long each, up to log_retry_max; a call before that answers the
  /// failure. Blocks; needs the other streams to be driven. To be called now and then, by any
  /// thread.
  op_status mend_log();
  /// Shards whose checkpoint is due now, the most urgent first. While the log presses, or finds no
  /// space, it also lets old segments go.
  [[nodiscard]] std::vector<shard_id> due_checkpoints();
  /// Is the log so long that checkpoints should hurry?
  [[nodiscard]] bool log_presses() const;
  /// One bounded turn of upkeep for a shard: sweeps expired records (logged as deletes). Returns
  /// how many it removed.
  std::size_t sweep_expired(shard_id shard, std::size_t buckets_max = 256);

  /// Adds a backup to a repository while reads and writes go on: the published checkpoints that are
  /// not there yet, and the log since the backup before, up to everything that was acknowledged
  /// before the call. Writers are never held back; see backup_format.md for what can be restored.
  /// Blocks; needs the streams to be driven. A call that fails or is cut short leaves the backups
  /// before it as they were, and the next one goes on with what it has brought.
  ///   unavailable       another one is at work in the repository, options.cancelled, or the log
  ///                     was let go faster than it could be copied
  ///   invalid_argument  not a repository, or one of another universe
  ///   not_supported     in memory only
  ///   corruption        a checkpoint or the log is damaged; no_space, io_error
  op_result<backup_manifest> back_up(backup_store& store, const backup_options& options = {});

  /// Refuses new writes (shutting_down), makes all that is logged durable and writes the end mark.
  /// Where a stream has failed it tries to mend it, once. After a failure nothing is lost but what
  /// was not durable; it may be called again. The streams must no longer be driven by others. Reads
  /// go on until the engine is destroyed.
  op_status close();
  /// After this, writes answer shutting_down; reads and the streams go on.
  void refuse_writes() noexcept;

  // -- observation; any thread
  // ---------------------------------------------------------------------------------------

  [[nodiscard]] const engine_options& options() const noexcept;
  [[nodiscard]] shard_stats stats(shard_id shard) const;
  [[nodiscard]] stream_stats stats_of_stream(std::uint32_t stream) const;
  /// ok, or why a stream refuses writes: no_space, io_error. Cheap.
  [[nodiscard]] op_status condition_of_stream(std::uint32_t stream) const;
  [[nodiscard]] log_stats stats_of_log() const; ///< zeros in memory only
  /// Keys that a clear has removed and whose memory is still on its way back.
  [[nodiscard]] std::uint64_t keys_being_freed() const noexcept;
  [[nodiscard]] const recovery_report& recovery() const noexcept;

  struct state; // engine_state.hpp

private:
  friend class segment_maker;
  friend class key_mark;
  friend class told_streams;
  friend class replicated_shard;
  static op_status open_in_memory(state& s);
  static op_status open_folder(state& s);
  static op_status open_log(state& s, recovered& found);
  static void open_watches(state& s);
  [[nodiscard]] op_status release_log();
  op_status save_checkpoint(shard_id shard);
  std::vector<shard_id> find_due_checkpoints();
  op_status apply_records(shard_id shard, const log_frame& frame);
  op_status install(shard_id shard, const std::string& path);
  op_status replace_copy(shard_id shard, const std::string& path, const applied_place& end);
  static op_result<std::unique_ptr<engine>> open_state(engine_options options);
  op_status stop_log();
  op_code execute_transaction(std::span<const operation> operations, std::span<op_reply> replies,
                              value_arena& arena);
  enum class round : bool { requested, left_to_caller };
  void forget_absence(std::string_view key) noexcept;
  op_code run_transaction(std::span<const std::string_view> keys,
                          const transaction_options& options, const transaction_body& body,
                          std::vector<durable_target>& waits);
  void execute_many(std::span<const operation> operations, std::span<op_reply> replies,
                    value_arena& arena, round when);
  [[nodiscard]] bool out_of_space() const noexcept;
  [[nodiscard]] op_status log_condition() const; ///< of the first stream that does not write
  [[nodiscard]] op_status cover_failed_streams();
  [[nodiscard]] op_status revive_streams();
  [[nodiscard]] op_status flush_streams();
  [[nodiscard]] op_code wait_for_tickets(std::span<const op_reply> replies,
                                         std::chrono::steady_clock::time_point deadline);
  void execute_one(const operation& op, op_reply& reply, value_arena& arena);
  void execute_other(const operation& op, op_reply& reply, value_arena& arena);
  void read_timed(const operation& op, read_counters::cell& counted, op_reply& reply,
                  value_arena& arena);
  void execute_locked(const operation& op, op_reply& reply, value_arena& arena);
  void execute_reads(batch& b, std::span<const operation> operations, std::span<op_reply> replies,
                     value_arena& arena, round when);
  /// By shard: the first LSN that its newest (or its oldest kept) checkpoint needs from the log.
  [[nodiscard]] std::vector<lsn_t> needed_from(bool oldest_kept) const;
  [[nodiscard]] std::vector<std::size_t> holds_on_log() const;
  void execute_chunk(batch& b, std::span<const operation> operations, std::span<op_reply> replies,
                     value_arena& arena, round when);
  explicit engine(std::unique_ptr<state> s);
  std::unique_ptr<state> state_;
};

/// A sentence for people about a reply's code: what happened, and what to do next. Empty for ok.
std::string describe(op_code code, const operation& op, const engine_options& options);

} // namespace warp::storage
