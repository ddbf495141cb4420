#pragma once

#include "messages/ids.hpp"
#include "messages/operations.hpp"
#include "storage/absent_keys.hpp"
#include "storage/applied_place.hpp"
#include "storage/batch.hpp"
#include "storage/clock.hpp"
#include "storage/engine_options.hpp"
#include "storage/log_record.hpp"
#include "storage/read_counters.hpp"
#include "storage/reply.hpp"
#include "storage/request_window.hpp"
#include "storage/shard_lock.hpp"
#include "storage/shard_log.hpp"
#include "storage/staged_write.hpp"
#include "storage/stats.hpp"
#include "storage/table.hpp"
#include "storage/table_memory.hpp"
#include "storage/watch_tap.hpp"
#include "storage/write_sequence.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace warp::storage {

/// A slot range of the universe: its table, its log sequence and what it remembers of requests,
/// behind one short lock. I/O threads lock it for their part of a batch; nothing here does I/O.
///
/// Reads that find what they want in memory that stays readable take no lock: see try_read().
///
/// Invariants: (1) a record's version is the LSN of the write that made it; (2) a write is in the
/// table and in the log buffer before the lock is let go, so log order is apply order; (3) LSNs
/// only grow.
class shard {
public:
  /// `options` and `time` are borrowed and outlive the shard; `memory` is shared by all shards of a
  /// universe.
  shard(shard_id id, const engine_options& options, const clock& time,
        std::shared_ptr<table_memory> memory);

  /// Before first use; borrowed. A shard without a log (a universe in memory only) counts its LSNs
  /// itself.
  void attach(shard_log* log) noexcept { log_ = log; }

  [[nodiscard]] shard_id id() const noexcept { return id_; }
  [[nodiscard]] shard_lock& lock() noexcept { return lock_; }
  [[nodiscard]] shard_log* log() noexcept { return log_; }

  // -- without the lock, any thread
  // --------------------------------------------------------------------------------------

  void prefetch_bucket(std::uint64_t hash) const noexcept { table_.prefetch_bucket(hash); }
  void prefetch_record(std::uint64_t hash) const noexcept { table_.prefetch_record(hash); }
  /// What prefetch_record() left out of a long one. That should have arrived, for this reads it.
  /// Defined in shard_read.hpp.
  void prefetch_rest(std::uint64_t hash) const noexcept;

  /// A get or exists below level sync, without the lock: true when it is answered, but for the
  /// expiry in the reply, which is the caller's to look at. False, and the reply's content is
  /// undefined, when a writer is at work, the arena is full, or the record is not one that can be
  /// read so: use apply() then. `hash` is the key's.
  [[nodiscard]] bool try_read(const operation& op, std::uint64_t hash, value_arena& arena,
                              read_counters::cell& counted, op_reply& reply);
  /// The same for the usual case of a get, with a key of 8 to 256 B and no large value in the
  /// reply; false may also mean that it is not usual, or that there is no such record. Defined in
  /// shard_read.hpp.
  [[nodiscard, gnu::always_inline]] bool try_get(std::string_view key, std::uint64_t hash,
                                                 value_arena& arena, read_counters::cell& counted,
                                                 op_reply& reply);

  // -- under the lock
  // ----------------------------------------------------------------------------------------------------

  /// Stands around everything that changes records, under the lock: readers without it notice.
  class write_section {
  public:
    explicit write_section(shard& s) noexcept : sequence_(s.sequence_) { sequence_.begin_write(); }
    ~write_section() { sequence_.end_write(); }
    write_section(const write_section&) = delete;
    write_section& operator=(const write_section&) = delete;

  private:
    write_sequence& sequence_;
  };

  /// An operation and what it needs to be done.
  struct call {
    const operation& op;
    std::uint64_t hash;
    const large_value*
        large; ///< the value when it is a large one, prepared outside the lock; else null
    std::uint64_t now_ms;
    value_arena& arena;
  };

  /// Executes one operation; a write, in a write_section, is logged unless its level is memory. The
  /// log must have admitted it before.
  void apply(const call& c, op_reply& reply);

  /// For a write that the log does not admit: true, and the reply says how it went, when it is the
  /// retry of one that was done (or may have been). So nobody is told that nothing was done.
  bool answer_retry(const call& c, op_reply& reply);

  /// The record of a key, or null; an expired one is none.
  [[nodiscard]] record* find_live(std::uint64_t hash, std::string_view key,
                                  std::uint64_t now_ms) const noexcept;

  /// A transaction's writes: until let_go() or take_back(), both in the same write_section, what
  /// apply() does is in the table only, and noted in `writes`, which has room for all of it. Until
  /// then no record that was seen is changed or freed, and nothing of an operation is borrowed
  /// beyond its apply(). Needs a call::now_ms above 0.
  void begin_staging(staged_writes& writes) noexcept {
    staged_ = &writes;
    erase_lsn_before_ = last_erase_lsn_;
  }
  /// So that settle() cannot fail. `transaction`: over more than this shard, else null. Throws
  /// std::bad_alloc.
  void reserve_to_settle(const log_transaction* transaction);
  /// What was staged is done: logged, told to watches, and remembered.
  void settle(const std::shared_ptr<log_transaction>& transaction) noexcept;
  /// After settle() of all shards: frees what was replaced.
  void let_go() noexcept;
  /// Removes every record, in bounded time, as a write of a transaction at this level; false: there
  /// was none. After let_go() the records wait in `writes` for bury(). Throws std::bad_alloc.
  bool stage_clear(durability level);
  /// After let_go(), without the lock, on any thread: frees what a clear has removed, and gives its
  /// bytes back to the budget.
  void bury(std::unique_ptr<table> cleared, std::uint64_t bytes) noexcept;
  /// The newest removal that was there before what is staged.
  [[nodiscard]] lsn_t erase_lsn_before() const noexcept {
    return staged_ ? erase_lsn_before_ : last_erase_lsn_;
  }
  [[nodiscard]] lsn_t last_erase_lsn() const noexcept { return last_erase_lsn_; }
  /// What was staged has never been. LSNs stay used.
  void take_back() noexcept;

  /// Removes expired records from at most `buckets_max` buckets, going on where the last sweep
  /// ended; logs each as a delete. Returns how many it removed.
  std::size_t sweep(std::uint64_t now_ms, std::size_t buckets_max);

  /// Applies a record of a checkpoint or of the log where it is newer than what the table has:
  /// exact over a checkpoint that was taken during writes, and idempotent. For recovery and
  /// followers: nothing is logged.
  void restore(std::string_view key, std::string_view value, const record_meta& meta);
  void replay(const log_record& record, std::uint64_t record_time_us);

  /// Makes sure of memory for writes of `bytes` in all that are not to fail any more; false: there
  /// is not so much, and nothing was taken.
  [[nodiscard]] bool reserve_memory(std::uint64_t bytes) noexcept;
  /// Takes from the budget what the table has beyond its share, and gives back what it does not
  /// need. Now and then.
  void settle_memory() noexcept;
  /// What a record takes at most beside its key and value, and its place in the index.
  static constexpr std::uint64_t record_overhead_max = 64 + cell_allocator::rounding_max;

  /// The same of a change of a hash by so many bytes of packed fields: its packed form is written
  /// anew, or leaves and nodes of its index.
  static constexpr std::uint64_t hash_change_bytes(std::uint64_t value) noexcept {
    return value + value / 4 + 8 * 1024 + record_overhead_max;
  }

  /// Keys whose coming and going somebody wants to hear of.
  [[nodiscard]] absent_keys& absent() noexcept { return absent_; }
  /// Tells `tap` (borrowed) of every change from now on; null: nobody.
  void watch_with(watch_tap* tap) noexcept { tap_ = tap; }
  [[nodiscard]] watch_tap* tap() noexcept { return tap_; }

  // -- of replicated shards: replicated_shard.hpp
  // ---------------------------------------------------------------------------------

  /// The table holds what is committed and applied, up to a place that `place` (borrowed) names
  /// under the lock; a checkpoint ends there and not at the end of the log.
  void replicate(const applied_place* place) noexcept { applied_ = place; }
  /// null: not replicated.
  [[nodiscard]] const applied_place* applied() const noexcept { return applied_; }
  /// Up to where all that was changed is in the table and may be told: the last LSN, or, as records
  /// above it may be taken back, what is applied.
  [[nodiscard]] lsn_t told_lsn() const noexcept { return applied_ ? applied_->lsn : last_lsn(); }
  /// The sequence of a shard without a log goes on behind `last`.
  void count_from(lsn_t last) noexcept {
    unlogged_lsn_ = last;
    unlogged_step_ = 1;
  }
  /// It stands still: all writes that follow have this one.
  void count_at(lsn_t lsn) noexcept {
    unlogged_lsn_ = lsn;
    unlogged_step_ = 0;
  }
  /// Takes over a record of another shard's table, version included, where there is none; a large
  /// value is shared. Throws std::bad_alloc.
  void adopt(std::uint64_t hash, const record& r);
  /// Removes a record, if there is one, as if it had never been there.
  void drop(std::uint64_t hash, std::string_view key) noexcept;

  [[nodiscard]] lsn_t last_lsn() const noexcept {
    return log_ ? log_->next_lsn() - 1 : unlogged_lsn_;
  }
  [[nodiscard]] const table& records() const noexcept { return table_; }
  /// Keys that are there, as a transaction sees them that is staged.
  [[nodiscard]] std::uint64_t key_count() const noexcept;
  /// Does any record expire? If not, nobody needs to know the time.
  [[nodiscard]] bool has_expiring() const noexcept { return table_.stats().expiring_keys != 0; }
  void clear() noexcept;
  [[nodiscard]] request_window& requests() noexcept { return requests_; }
  [[nodiscard]] shard_stats& counters() noexcept { return counters_; }
  [[nodiscard]] const shard_stats& counters() const noexcept { return counters_; }

private:
  void get(const call& c, op_reply& reply);
  void exists(const call& c, op_reply& reply);
  void put(const call& c, op_reply& reply);
  void erase(const call& c, op_reply& reply);
  void increment(const call& c, op_reply& reply);
  void expire(const call& c, op_reply& reply);

  // In shard_hash.cpp.
  void hash_get(const call& c, op_reply& reply);
  void hash_all(const call& c, op_reply& reply);
  void hash_length(const call& c, op_reply& reply);
  void hash_set(const call& c, op_reply& reply);
  void hash_erase(const call& c, op_reply& reply);
  void hash_increment(const call& c, op_reply& reply);
  void put_hash(const call& c, record* existing, bool existed, const record_meta& meta,
                op_reply& reply);
  [[nodiscard]] const record* find_hash(const call& c, op_reply& reply) const noexcept;
  [[nodiscard]] bool find_hash_to_change(const call& c, record*& raw, record*& live,
                                         op_reply& reply) const noexcept;
  void set_fields(const call& c, record* raw, record* live, std::string_view pairs,
                  op_reply& reply);
  void store_hash(const call& c, record* existing, const new_value& value, record_meta meta,
                  log_record logged, bool existed, op_reply& reply);
  [[nodiscard]] bool change_in_place(const call& c, record* live, log_op op,
                                     std::string_view fields, op_reply& reply);
  [[nodiscard]] bool find_hash_memory(std::uint64_t bytes, bool grows) noexcept;
  void replay_fields(std::uint64_t hash, record* existing, const log_record& r);
  /// Removes a live record as an erase does.
  void remove(const call& c, record* live, op_reply& reply);

  void describe_record(const call& c, const record* r, op_reply& reply) const noexcept;
  /// Does the write's condition hold for the live record (null: absent)? If not the reply says so.
  bool holds(const operation& op, const record* live, op_reply& reply) const noexcept;
  [[nodiscard]] std::uint64_t memory_used() const noexcept {
    const auto& s = table_.stats();
    return s.record_bytes + s.index_bytes;
  }
  [[nodiscard]] bool find_memory(const call& c, const record* existing,
                                 std::uint64_t value_bytes) noexcept;
  void note_removals(const staged_write& write) noexcept;
  void forget_cleared(std::unique_ptr<table> cleared) noexcept;
  void replay_clear(const log_record& r);
  void store(const call& c, record* existing, const new_value& value, record_meta meta,
             bool existed, op_reply& reply);
  /// So that finish_write() cannot fail; before the first change. Throws std::bad_alloc.
  void reserve_to_finish(const call& c, std::uint64_t value_bytes);
  void finish_write(const call& c, const log_record& logged, bool existed, op_reply& reply);
  void stage_write(const call& c, record* existing, const new_value& value, const record_meta& meta,
                   log_record logged, bool existed, op_reply& reply);
  [[nodiscard]] bool goes_to_log(const operation& op) const noexcept {
    return level_of(op) > durability::memory && log_;
  }
  [[nodiscard]] durability level_of(const operation& op) const noexcept {
    return op.level == durability::unspecified ? options_.default_level : op.level;
  }
  void sweep_buckets(std::uint64_t now_ms, std::size_t buckets_max, std::size_t& removed);
  lsn_t next_lsn() noexcept { return log_ ? log_->assign_lsn() : unlogged_lsn_ += unlogged_step_; }

  shard_lock lock_;
  write_sequence sequence_;
  const shard_id id_;
  const engine_options& options_;
  const clock& time_;
  memory_budget& budget_;
  const memory_range& readable_; ///< records in it may be read without the lock
  shard_log* log_ = nullptr;
  staged_writes* staged_ = nullptr;
  watch_tap* tap_ = nullptr;
  lsn_t unlogged_lsn_ = 0; // the sequence of a shard without a log
  lsn_t unlogged_step_ = 1;
  lsn_t last_erase_lsn_ = 0;       // what a read at level sync waits for when it finds nothing
  lsn_t erase_lsn_before_ = 0;     // the same, before the transaction that is staged
  std::uint64_t memory_taken_ = 0; // of the budget
  std::uint64_t sweep_cursor_ = 0;
  std::vector<std::string> expired_keys_; // of one bucket of the sweep
  table table_;
  std::vector<std::unique_ptr<table>> spares_; ///< for clears: empty; has room for all there are
  std::size_t spares_made_ = 0;
  request_window requests_;
  absent_keys absent_;
  shard_stats counters_;
  const applied_place* applied_ = nullptr;
};

} // namespace warp::storage
