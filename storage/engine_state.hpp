#pragma once

#include "storage/burial_thread.hpp"
#include "storage/data_folder.hpp"
#include "storage/engine.hpp"
#include "storage/observation.hpp"
#include "storage/replicated_executor.hpp"
#include "storage/replicated_shard.hpp"
#include "storage/segment_store.hpp"
#include "storage/shard.hpp"
#include "storage/shard_log.hpp"
#include "storage/slot.hpp"
#include "storage/wal_stream.hpp"
#include "storage/watch_hub.hpp"

#include <atomic>
#include <bit>
#include <chrono>
#include <memory>
#include <mutex>
#include <vector>

namespace warp::storage {

/// What upkeep knows of a shard's checkpoints; guarded by its own mutex, which a running checkpoint
/// holds to its end.
struct checkpoint_state {
  std::mutex running;
  // Below: written while `running` is held and under engine::state::upkeep_mutex, read under the
  // latter.
  lsn_t covered_lsn = 0;   ///< last LSN handed out when the newest one began, logged or not
  lsn_t end_lsn = 0;       ///< of the newest one
  std::uint64_t bytes = 0; ///< of its file
  std::uint64_t created_at_ms = 0;
  std::uint64_t duration_ms = 0;
  std::uint64_t count = 0;                 ///< made since start
  std::uint64_t log_records_recovered = 0; ///< replayed at start, so not in the log's own count
  std::uint64_t log_records_at = 0; ///< of the shard's log when it began, recovered ones included
  std::uint64_t log_bytes_at = 0;
  std::uint64_t dirty_since_ms = 0; ///< when upkeep first saw an unsaved change; 0: none seen
};

class checkpoint_attempt; // checkpoint_attempt.hpp

/// What mend_log() keeps from one attempt to the next; guarded by `running`.
struct mend_state {
  mend_state();
  ~mend_state();
  std::mutex running;
  /// By shard: checkpoints that are on disk and wait for the others.
  std::vector<std::unique_ptr<checkpoint_attempt>> finished;
  std::chrono::steady_clock::time_point again_at{};
  std::chrono::milliseconds pause{0};
  op_status failure;
  std::atomic<std::uint64_t> failures{0};
};

/// What the files engine_*.cpp share. Destroyed from the bottom up: streams before logs before
/// shards.
struct engine::state {
  engine_options options;
  std::shared_ptr<const clock> time;
  file_system* files = nullptr;
  std::unique_ptr<data_folder> folder;     ///< null: memory only
  durability level_max = durability::sync; ///< what may be asked for; memory without a folder
  std::shared_ptr<table_memory> memory;    ///< of all shards' records
  std::vector<std::unique_ptr<shard>> shards;
  unsigned slot_shift = 0;              ///< slot >> slot_shift is the shard
  std::unique_ptr<read_counters> reads; ///< those without a lock
  bool plain_gets = false;              ///< a get that names no level needs no lock
  /// Gets of keys with larger hashes may go the fast way of a single one: all but those of watched
  /// keys, or none when !plain_gets.
  std::atomic<std::uint64_t> fast_above{~std::uint64_t{0}};
  std::unique_ptr<observation> observed;               ///< accesses, in samples
  std::atomic<replicated_executor*> executor{nullptr}; ///< of a replicated universe, else null
  std::mutex observing_mutex;                          ///< of who turns that on or off
  std::vector<std::unique_ptr<shard_log>> logs;
  bool direct_checkpoints = false;     ///< written past the page cache
  std::vector<log_origin> log_origins; ///< by shard
  std::unique_ptr<segment_store> segments;
  std::shared_ptr<watch_hub> watches;
  std::vector<std::unique_ptr<wal_stream>> streams;
  std::vector<std::uint32_t> stream_of_shard;
  recovery_report report;
  std::atomic<op_code> refusal{op_code::ok}; ///< what writes are answered; ok: they are done
  std::vector<replica_start> replica_starts; ///< by shard; options.replicated

  std::mutex listeners_mutex;
  std::vector<round_listener*> listeners;

  mutable std::mutex upkeep_mutex;
  std::vector<std::unique_ptr<checkpoint_state>> checkpoints; ///< per shard
  /// Somebody makes backups: log that none has (segment_info::archived) stays while there is room.
  std::atomic<bool> holds_log_for_backups{false};
  std::uint64_t spares_dropped_ms = 0; ///< when idle spare segments were last dropped
  mend_state mend;
  burial_thread burials; ///< the last one, as it works on shards

  [[nodiscard]] std::uint32_t shard_count() const noexcept {
    return static_cast<std::uint32_t>(shards.size());
  }

  /// Is it an operation for shard::try_read()?
  [[nodiscard]] bool may_try_read(const operation& op) const noexcept {
    const auto level = op.level == durability::unspecified ? options.default_level : op.level;
    return op.kind <= op_kind::exists && level < durability::sync;
  }
  /// A get that is valid and, if plain_gets, for shard::try_get(), as far as its arguments say;
  /// false is no verdict. Longer keys are hashed behind calls, over which much would have to be
  /// saved.
  [[nodiscard]] bool is_usual_get(const operation& op) const noexcept {
    constexpr std::size_t least = 8, most = 64;
    return op.kind == op_kind::get && op.level == durability::unspecified &&
           op.expected_version == 0 && op.value.size() <= options.value_bytes_max &&
           op.key.size() - least <= most - least;
  }
  [[nodiscard]] bool is_plain_get(const operation& op) const noexcept {
    return plain_gets && is_usual_get(op);
  }
  [[nodiscard]] replicated_executor* replicated() const noexcept {
    return executor.load(std::memory_order_acquire);
  }
  /// What fast_above is to be now.
  void set_fast_way() noexcept;
  /// Number of the shard that holds a key.
  [[nodiscard]] std::uint32_t shard_of(std::string_view key) const noexcept {
    return slot_of(key).value >> slot_shift;
  }

  /// Shows a single operation to whoever observes, who looks at one in 16, at all that belong to a
  /// sampled window, and at those on watched keys. Here is what nearly all of them need.
  void show(const operation& op, const op_reply& reply, std::uint64_t hash) noexcept {
    if (!observed->is_on()) [[likely]]
      return;
    auto* const to = observed->mine();
    if (!to || (to->may_pass() && !to->watches(hash))) [[likely]]
      return;
    show_single(*to, op, reply, hash);
  }
  static void show_single(thread_observer& to, const operation& op, const op_reply& reply,
                          std::uint64_t hash) noexcept;
  /// The look. On the fast way of a get one in 64 of a shard comes here; where that begins a window
  /// that is sampled, those of its thread that follow leave the fast way.
  void look_at_single(const operation& op, const op_reply& reply, std::uint64_t hash) noexcept;
  /// Who observes a batch, or null; it takes the operations on keys whose hash is not above this.
  struct batch_view {
    thread_observer* to = nullptr;
    std::uint64_t up_to = 0;
    /// `hashes`: of the operations' keys, at least as many.
    void show(std::span<const operation> operations, std::span<const op_reply> replies,
              std::span<const std::uint64_t> hashes) const noexcept {
      std::size_t wanted = 0; // nearly always none: to count them takes no branch for each
      for (std::size_t i = 0; i < operations.size(); ++i) wanted += hashes[i] <= up_to;
      if (wanted != 0) [[unlikely]]
        take(operations, replies, hashes);
    }
    void take(std::span<const operation> operations, std::span<const op_reply> replies,
              std::span<const std::uint64_t> hashes) const noexcept;
  };
  /// Begins a batch of so many operations.
  [[nodiscard]] batch_view show_batch(std::size_t operations) noexcept;
  /// Begins a transaction over so many keys; whoever observes it and is to hear of its end, or
  /// null.
  [[nodiscard]] thread_observer* show_transaction(std::size_t keys) noexcept;

  void tell_listeners();
  /// engine::scan(). `locked`: the caller holds the locks of all shards.
  void scan(std::uint64_t cursor, std::string_view prefix, std::size_t limit, scan_page& page,
            std::size_t buckets_max, bool locked) const;
  /// Values from this size are compressed for the log; none where there is no log.
  [[nodiscard]] std::uint64_t compress_from() const noexcept {
    return folder ? options.compress_min_bytes : ~std::uint64_t{0};
  }
  /// Is the operation one that may be tried at all? ok, invalid_argument or no_replicas. Looks at
  /// nothing but its arguments.
  [[nodiscard]] op_code validate(const operation& op) const noexcept {
    if (op.key.size() - key_size_min > key_size_max - key_size_min)
      return op_code::invalid_argument;
    if (op.value.size() > options.value_bytes_max) return op_code::invalid_argument;
    if (op.expected_version != 0 && op.condition != write_condition::if_version)
      return op_code::invalid_argument;
    if (op.level > level_max) return op_code::no_replicas;
    return op_code::ok;
  }
  /// Waits, with `lock` (the shard's) given back meanwhile, until `writes` writes may be done;
  /// `lock` is held on return.
  [[nodiscard]] op_code admit(shard& s, std::unique_lock<shard_lock>& lock, std::size_t writes);
};

} // namespace warp::storage
