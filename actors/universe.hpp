#pragma once

#include "actors/backup_gate.hpp"
#include "actors/compute_settings.hpp"
#include "actors/physics_settings.hpp"
#include "actors/scrub_status.hpp"
#include "actors/service.hpp"
#include "actors/tree.hpp"
#include "actors/universe_watch.hpp"
#include "messages/gpu.hpp"
#include "messages/ids.hpp"
#include "messages/operations.hpp"
#include "messages/physics.hpp"
#include "messages/status.hpp"
#include "messages/watch.hpp"
#include "physics/rebalance.hpp"
#include "storage/engine_options.hpp"
#include "storage/stats.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace warp {

namespace storage {
class engine;
}

/// Everything a universe needs to know at its start.
struct universe_options {
  storage::engine_options engine;
  /// Threads for actors, which carry control messages only; 0: 2.
  std::uint32_t scheduler_threads = 0;
  /// For every supervisor of the tree.
  actors::restart_intensity intensity;
  /// Backups by the clock. With an interval, set engine.hold_log_for_backups too.
  actors::backup_schedule backups;
  /// The physics branch; the data path does not notice when it is absent.
  bool physics = true;
  actors::physics_settings learning; ///< without the branch nothing is learned, as at tier T0
  actors::compute_settings compute;  ///< without the branch nothing is computed, as with mode off
  /// Called once, on an actor thread, when the root of the tree has given up: `cause` is a sentence
  /// for people. The universe can still be read, stopped and destroyed, but nothing drives its log
  /// any more. Must not stop it itself: tell another thread. Empty: logs it and ends the process.
  std::function<void(const std::string& cause)> on_fatal;
};

/// How a write is done.
struct write_options {
  durability level = durability::unspecified;   ///< unspecified: the universe's default
  std::optional<std::chrono::milliseconds> ttl; ///< time to live from now, > 0; none: never expires
  bool keep_expiry = false; ///< put: keep the expiry the record has (ttl must be empty)
  priority rank = priority::normal;
  access_pattern pattern = access_pattern::balanced;
  write_condition condition = write_condition::always;
  lsn_t expected_version = 0; ///< with condition if_version; 0: absent
  request_id request;         ///< makes a retry exactly-once; may be empty
  /// How long the call may wait for the disk; then outcome_unknown.
  std::chrono::milliseconds timeout{10'000};
};

struct read_options {
  durability level = durability::unspecified; ///< sync: answer only what is on disk
  std::chrono::milliseconds timeout{10'000}; ///< waiting for the disk at level sync; then timed_out
};

/// What is known about a key without its value.
struct key_info {
  lsn_t version = 0;
  std::uint64_t expires_at_ms = 0; ///< absolute, ms since 1970; 0: never
};

/// A value with what is known about it.
struct value_info {
  std::string value;
  lsn_t version = 0;
  std::uint64_t expires_at_ms = 0;
};

/// Answer of compare_and_set.
struct compare_result {
  bool stored = false;
  lsn_t version = 0; ///< stored: of the new value; else the version it met (0: absent)
};

struct key_value {
  std::string_view key, value;
};

/// Answer to one operation of a batch.
struct batch_reply {
  op_code code = op_code::ok;
  lsn_t version = 0;
  std::int64_t number = 0;         ///< increment: the result
  std::uint64_t expires_at_ms = 0; ///< get, exists
  std::string value; ///< get; hash_get, hash_all: packed, see messages/packed_fields.hpp
};

/// The fields of a hash with what is known about it.
struct hash_fields {
  std::vector<std::pair<std::string, std::string>> fields; ///< name and value
  lsn_t version = 0;
  std::uint64_t expires_at_ms = 0; ///< absolute, ms since 1970; 0: never
};

struct scan_item {
  std::string key, value; ///< of a hash packed pairs, see messages/packed_fields.hpp
  lsn_t version = 0;
  std::uint64_t expires_at_ms = 0;
  value_type type = value_type::bytes;
};
struct scan_result {
  std::vector<scan_item> items;
  std::uint64_t next_cursor = 0; ///< 0: the scan is over
};

/// Load of one shard since start.
struct shard_load {
  shard_id shard;
  std::uint64_t keys = 0;
  std::uint64_t bytes = 0;          ///< keys and values
  std::uint64_t resident_bytes = 0; ///< allocated for them
  std::uint64_t reads = 0, writes = 0;
  double operations_share = 0; ///< of all operations of the universe, [0, 1]
};
struct load_summary {
  std::vector<shard_load> shards; ///< the busiest first
  std::uint64_t keys = 0, bytes = 0, reads = 0, writes = 0;
};

/// What /healthz and /readyz show.
struct health_summary {
  bool ready = false;                ///< takes reads and writes
  std::vector<std::string> problems; ///< one sentence each; empty: all is well
};

struct stop_options {
  /// Checkpoint every changed shard first, so that the next start replays no log.
  bool checkpoint = false;
  /// The whole stop takes no longer than this.
  std::chrono::milliseconds bound{30'000};
};

/// One running database, in this process: a data folder (or memory only) with its shards, log
/// writers, checkpoints and supervision tree. No ports, unless services are added. All calls are
/// thread-safe and may block where they wait for the disk; front ends with many clients use
/// engine() instead, which never waits.
///
///   auto universe = warp::universe::open({.engine = {.folder = "data"}});
///   if (!universe) die(universe.status());
///   (*universe)->put("key", "value", {.level = warp::durability::sync});
class universe {
public:
  /// Opens or creates the data folder, recovers, and starts the supervision tree. Codes: those of
  /// storage::engine::open.
  static op_result<std::unique_ptr<universe>> open(universe_options options);
  /// Stops with default options and a bound of 5 s, unless it is stopped already.
  ~universe();
  universe(const universe&) = delete;
  universe& operator=(const universe&) = delete;

  // -- keys
  // -------------------------------------------------------------------------------------------------------------

  /// Returns the new version. already_exists, not_found, version_mismatch: the condition did not
  /// hold.
  op_result<lsn_t> put(std::string_view key, std::string_view value,
                       const write_options& options = {});
  op_result<value_info> get(std::string_view key, const read_options& options = {});
  /// not_found if absent. options.condition may be always or if_version.
  op_status erase(std::string_view key, const write_options& options = {});
  op_result<key_info> exists(std::string_view key, const read_options& options = {});
  /// Time to live left; an empty optional: never expires. not_found if absent.
  op_result<std::optional<std::chrono::milliseconds>> ttl(std::string_view key,
                                                          const read_options& options = {});
  /// Sets or (empty) removes the time to live and leaves the value. not_found if absent.
  op_status expire(std::string_view key, std::optional<std::chrono::milliseconds> ttl,
                   const write_options& options = {});
  /// Stores `value` if the key's version is `expected` (0: absent). Meeting another version is an
  /// answer, not an error.
  op_result<compare_result> compare_and_set(std::string_view key, std::string_view value,
                                            lsn_t expected, const write_options& options = {});
  /// Adds to a decimal 64-bit integer (absent: 0) and returns the result. wrong_type: the value is
  /// none.
  op_result<std::int64_t> increment(std::string_view key, std::int64_t delta = 1,
                                    const write_options& options = {});

  // Hashes: a key with named fields. wrong_type: the key has another value. (What is for other
  // values answers wrong_type for a hash; erase, exists, ttl and expire are for all.)

  /// Writes fields, and makes a hash of an absent key; the others, and an expiry, stay. Returns how
  /// many are new. invalid_argument: none are given, a name is longer than 64 KiB, or the hash
  /// would become longer than a value may be.
  op_result<std::int64_t> hash_set(std::string_view key, std::span<const key_value> fields,
                                   const write_options& options = {});
  /// Removes fields, and the key with its last one. Returns how many were there. not_found: the
  /// key is absent.
  op_result<std::int64_t> hash_erase(std::string_view key, std::span<const std::string_view> names,
                                     const write_options& options = {});
  /// As increment(), of a field.
  op_result<std::int64_t> hash_increment(std::string_view key, std::string_view name,
                                         std::int64_t delta = 1, const write_options& options = {});
  /// A field's value; an empty optional: there is none. not_found: the key is absent.
  op_result<std::optional<std::string>> hash_get(std::string_view key, std::string_view name,
                                                 const read_options& options = {});
  /// All fields as they were at one moment. not_found: the key is absent.
  op_result<hash_fields> hash_all(std::string_view key, const read_options& options = {});

  /// Each key on its own; results[i] answers keys[i].
  std::vector<op_result<value_info>> multi_get(std::span<const std::string_view> keys,
                                               const read_options& options = {});
  std::vector<op_result<lsn_t>> multi_put(std::span<const key_value> pairs,
                                          const write_options& options = {});
  /// All or nothing, atomic for readers, in the log and across shards. Operations carry their own
  /// options (levels, conditions, absolute expiry). The status is that of the first operation that
  /// failed; then nothing is done.
  op_result<std::vector<batch_reply>>
  batch(std::span<const operation> operations,
        std::chrono::milliseconds timeout = std::chrono::seconds{10});
  /// About `limit` records whose key starts with `prefix`. Cursor 0 starts; see
  /// storage::engine::scan for the guarantees.
  op_result<scan_result> scan(std::uint64_t cursor, std::string_view prefix = {},
                              std::size_t limit = 100);

  /// Tells of the changes of a key, or of all keys with a prefix, until the watch is destroyed: see
  /// messages/watch.hpp for what is told, universe_watch.hpp for how. Every change after the call
  /// has returned is among them. Codes: those of storage::engine::watch_changes; shutting_down.
  ///
  ///   auto watch = universe->watch({.key = "a"}, [](const warp::watch_event& e) { ... });
  op_result<std::unique_ptr<universe_watch>> watch(watch_options options, watch_callback on_event);

  // -- what the universe knows of itself: learned beside the data path from samples, see
  // messages/physics.hpp
  // -------------------------------------------------------------------------------------------------------------

  /// The value of a key, and the keys that belong to it with strength and state. An absent key is
  /// an answer. At level memory; never waits for the disk. Relations are known at every tier, and
  /// learned from T1 on. invalid_argument: more than quantum_partners_max.
  op_result<quantum_answer> quantum_get(std::string_view key, const quantum_options& options = {});
  /// The names and strengths alone, without a look at the records; see quantum_get.
  [[nodiscard]] std::vector<quantum_partner> partners_of(std::string_view key, std::size_t max,
                                                         double strength_min) const;
  /// Declares that the partners belong to the key with this strength in [0, 1], whatever is
  /// learned; 0 takes it back. Saved about a second later. invalid_argument; no_space: 100,000
  /// partners are declared.
  op_status entangle(std::string_view key, std::span<const std::string> partners,
                     double strength = 1);
  /// A pattern rule, "user:* -> profile:*, settings:*", strength in (0, 1]; 0 takes it back
  /// (not_found: there is none). Saved as above. invalid_argument, no_space.
  op_status set_physics_rule(std::string_view rule, double strength = 0.8);
  /// How evenly the load lies on the shards. not_supported below T2, as the next two.
  [[nodiscard]] op_result<entropy_report> entropy() const;
  /// Load and mass of each shard, by number.
  [[nodiscard]] op_result<std::vector<shard_physics>> shards() const;
  /// What a rebalancing between the shards would do. Only as a dry run: nothing moves keys between
  /// the shards of one node, where they share the same cores and memory. May take a second.
  [[nodiscard]] op_result<rebalance_report>
  rebalance(bool dry_run,
            physics::rebalance_strategy strategy = physics::rebalance_strategy::minimal) const;
  /// In force at once, until the next start.
  void set_physics_tier(physics_tier tier);
  [[nodiscard]] physics_report physics_status() const;

  // -- what is computed beside the data path, on a GPU where there is one
  // (actors/compute_manager.hpp)
  // -------------------------------------------------------------------------------------------------------------

  /// Who computes and why, and what was computed.
  [[nodiscard]] gpu_report gpu_status() const;
  /// What a sample of about so much work of each operation takes, on the CPU and on the first
  /// device; blocks for seconds. invalid_argument, not_supported, timed_out: see compute_manager.
  [[nodiscard]] op_result<std::vector<gpu_timing>> gpu_bench(std::uint64_t work);
  /// Measures from which size on a device is faster, and keeps it for the next start; the same.
  op_result<gpu_calibration_report> gpu_calibrate();

  // -- operation
  // --------------------------------------------------------------------------------------------------------

  /// Writes a checkpoint of every changed shard, one after the other, on this thread.
  op_status checkpoint();
  op_status checkpoint(shard_id shard);
  /// Orders a backup into the repository `folder` (empty: the scheduled one's), which is made when
  /// its writing is possible, one at a time, beside reads and writes; returns a ticket for
  /// backup(). See storage::engine::back_up; restoring is storage::restore_backup.
  op_result<std::uint64_t> order_backup(std::string folder = {});
  /// How far it is; not_found: no such ticket, or one of long ago.
  [[nodiscard]] op_result<actors::backup_state> backup(std::uint64_t ticket) const;
  /// Calls `changed` once, when a backup or a check of everything at rest next comes on or ends, on
  /// its thread: it must not block. Dropping what is returned ends that. Listen first, then look.
  [[nodiscard]] std::shared_ptr<void> on_job_change(std::function<void()> changed);
  /// What checking everything at rest has found; `now`: asks for another run, which has ended when
  /// `finished` reaches the number in `begun`. not_supported in memory only.
  op_result<actors::scrub_status> scrubbed(bool now);
  /// Prometheus text of everything, services included.
  [[nodiscard]] std::string metrics() const;
  [[nodiscard]] load_summary analyze_load() const;
  [[nodiscard]] health_summary health() const;
  /// The supervision tree, parents before children.
  [[nodiscard]] std::vector<actors::tree_node> tree() const;
  /// Ends one actor of the tree on purpose; its supervisor restarts it. not_found: no such path;
  /// invalid_argument: the root.
  op_status chaos(std::string_view path);

  /// Starts a service under the front supervisor and returns when start() has; if that failed the
  /// service is dropped. From then on a failure restarts it. It is stopped (the last added first)
  /// before the engine, and destroyed before it.
  op_status add_service(std::shared_ptr<actors::service> service);

  /// For front ends: never waits for the disk. Valid until the universe is stopped.
  [[nodiscard]] storage::engine& engine() noexcept;

  // -- the end
  // ----------------------------------------------------------------------------------------------------------

  /// Stops the services, refuses writes, checkpoints if asked, stops the tree, makes everything
  /// durable, writes the end mark and closes the data folder. timed_out: the bound passed (or
  /// stop_now came) first; what is left ends in the background, nothing acknowledged is lost, and
  /// ending the process is safe. Calls of other threads must be over, or get shutting_down.
  op_status stop(const stop_options& options = {});
  /// For the second signal: a stop() under way skips its checkpoints and returns at once with
  /// timed_out if anything is left. Without one: refuses writes from now on.
  void stop_now() noexcept;

private:
  struct state;
  explicit universe(std::shared_ptr<state> s);
  std::shared_ptr<state> state_;
};

} // namespace warp
