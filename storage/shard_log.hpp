#pragma once

#include "messages/ids.hpp"
#include "messages/status.hpp"
#include "storage/durable_state.hpp"
#include "storage/log_buffer.hpp"
#include "storage/log_record.hpp"
#include "storage/log_transaction.hpp"
#include "storage/shard_lock.hpp"
#include "storage/stream_gate.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>

namespace warp::storage {

class wal_stream;

/// Where a shard's log goes on.
struct log_position {
  lsn_t last = 0; ///< last record that recovery kept (in the log or below a checkpoint); what the
                  ///< log has above it is void
  lsn_t next = 1; ///< first LSN to hand out, above every LSN ever handed out
  epoch_t epoch = 0;
};

/// The log of one shard: counts its LSNs, and holds what was appended until its stream has written
/// it.
///
/// A write, from the shard's point of view (everything between lock and unlock is one batch:
/// atomic, never split):
///
///     lock
///     log.admit(n) == ok            else unlock; log.wait_for_room(deadline); again
///     lsn = log.assign_lsn()        once per operation; a write at level memory stops here
///     log.append({.lsn = lsn, ...})
///     log.commit()                  once, when anything was appended
///     unlock
///     log.request_sync()            for a write at level sync
///     log.durable(lsn)              polled, or wait_durable()
///
/// A transaction locks all its shards, admits in all, makes a log_transaction with the LSNs its
/// records will have (next_lsn() .. next_lsn() + n - 1 in each shard), and calls begin_part()
/// before the first append in each; then commit() in each.
///
/// Belongs to the engine, outlives its stream. The part "under the lock" needs the shard's lock;
/// the rest any thread.
class shard_log {
public:
  /// `lock`: the shard's, borrowed; the stream takes it for about a microsecond a round.
  shard_log(shard_id shard, shard_lock& lock, log_position at);
  ~shard_log();
  shard_log(const shard_log&) = delete;
  shard_log& operator=(const shard_log&) = delete;

  [[nodiscard]] shard_id shard() const noexcept { return shard_; }

  // -- under the lock
  // -----------------------------------------------------------------------------------------------

  /// May a batch that assigns `lsns` LSNs and appends keys and values of `bytes` in all be done
  /// now?
  ///   ok
  ///   overloaded        the stream's buffers or the reserved LSNs are used up: wait_for_room()
  ///   no_space          the disk is full; goes away by itself
  ///   io_error          the log has failed, or that of a shard it shares a transaction with
  ///   shutting_down     the stream is closed
  ///   invalid_argument  no frame takes so much: never
  [[nodiscard]] op_code admit(std::uint64_t lsns = 1, std::uint64_t bytes = 0) noexcept;

  /// The LSN that assign_lsn() returns next.
  [[nodiscard]] lsn_t next_lsn() const noexcept { return next_; }
  lsn_t assign_lsn() noexcept { return next_++; }
  /// LSN of the last appended record; not of writes at level memory.
  [[nodiscard]] lsn_t last_appended() const noexcept { return last_; }
  [[nodiscard]] epoch_t epoch() const noexcept {
    return epoch_.load(std::memory_order_relaxed);
  } ///< any thread

  /// After this neither the append() of a record with `bytes` of key and value (without a value
  /// that is `large`), nor the commit() behind it can fail. Throws std::bad_alloc, and has changed
  /// nothing then. Cheap as a rule.
  void reserve(std::size_t bytes, bool large = false) {
    if (large || !active_.has_room_for(bytes + record_head_bytes_max)) [[unlikely]]
      reserve_more(1, bytes, large);
  }
  /// The same for the part of a transaction: begin_part() and `records` with `bytes` in all,
  /// `blobs` of them large.
  void reserve_part(const log_transaction& transaction, std::size_t records, std::size_t bytes,
                    std::size_t blobs);
  /// For that many records that are no part of a transaction.
  void reserve_more(std::size_t records, std::size_t bytes, std::size_t blobs);

  /// Encodes the record into the buffer. record.lsn: above that of the last appended record; a
  /// follower appends the LSNs of its primary, and the count goes on after them. Allocates nothing
  /// once warm; throws std::bad_alloc unless reserve() was called. Key within the limits.
  void append(const log_record& record);
  /// The same for a record that decode_body() takes, given as bytes.
  void append_body(lsn_t lsn, std::string_view body);
  /// It ends with the next commit().
  [[nodiscard]] bool frame_is_full() noexcept {
    return active_.frame_open() && active_.frame_bytes() >= frame_bytes_;
  }
  /// This shard's part of `transaction` follows: its records must be appended next, with the LSNs
  /// named in it.
  void begin_part(const std::shared_ptr<log_transaction>& transaction);
  /// Ends the batch: what was appended since the last commit() gets to disk together or not at all.
  void commit() noexcept;

  /// Raises the shard's epoch. A frame without records takes it to disk when no write follows;
  /// request_sync() and wait for durable_epoch(). The records that follow are of this epoch. Not
  /// inside a batch.
  void set_epoch(epoch_t epoch);
  /// A follower that catches up: the records that follow were written in this epoch, not above
  /// epoch(). Not inside a batch.
  void set_record_epoch(epoch_t epoch);
  /// The log goes on behind `last`: the next record has the LSN `last` + 1 or more. Below
  /// last_appended(): a follower cuts its tail, the records above are void, and the durable LSN
  /// goes back. Above: a checkpoint was installed that covers everything up to `last`. Not inside a
  /// batch.
  void cut(lsn_t last);

  /// Of a replicated shard: everything up to `lsn` is committed. The frames from now on say so;
  /// with `at_once` one is written for it.
  void note_commit(lsn_t lsn, bool at_once = false);

  /// An empty copy takes over a checkpoint: the count goes on where the checkpoint ends. What the
  /// checkpoint holds counts as durable here: the caller makes it so before it relies on that. Not
  /// inside a batch, and only while nothing was appended.
  void start_at(log_position at);

  // -- any thread
  // ---------------------------------------------------------------------------------------------------

  /// Is everything that was logged up to `lsn` on disk (with all parts of its transactions)?
  /// Lock-free.
  [[nodiscard]] durable_state durable(lsn_t lsn) const noexcept;
  /// The highest LSN known to be durable.
  [[nodiscard]] lsn_t durable_lsn() const noexcept {
    return durable_.load(std::memory_order_acquire);
  }
  /// The highest epoch known to be on disk.
  [[nodiscard]] epoch_t durable_epoch() const noexcept {
    return durable_epoch_.load(std::memory_order_acquire);
  }
  /// Blocks until `lsn` is durable: ok, io_error (it never will be), timed_out.
  [[nodiscard]] op_code wait_durable(lsn_t lsn,
                                     std::chrono::steady_clock::time_point deadline) const;
  /// Blocks until everything that was appended up to `lsn` is on disk, whether or not other parts
  /// of its transactions are: ok, io_error (the stream has failed), timed_out.
  [[nodiscard]] op_code wait_written(lsn_t lsn,
                                     std::chrono::steady_clock::time_point deadline) const;
  /// Has the stream failed? Then nothing is admitted until it starts a new chain. Lock-free.
  [[nodiscard]] bool stream_failed() const noexcept {
    return (failed_.load(std::memory_order_acquire) & failed_stream) != 0;
  }
  /// Asks the stream for a round now, and, where transactions hold back what it has written, the
  /// streams of their other parts.
  void request_sync() noexcept;
  /// After admit() said overloaded, without the lock: blocks until it is worth asking again (ok),
  /// or until the deadline (overloaded). no_space, io_error: at once.
  [[nodiscard]] op_code wait_for_room(std::chrono::steady_clock::time_point deadline);
  /// True while admit() would not say overloaded for want of buffer space. Lock-free.
  [[nodiscard]] bool has_room() const noexcept;

  [[nodiscard]] std::uint64_t appended_records() const noexcept {
    return records_.load(std::memory_order_relaxed);
  }
  [[nodiscard]] std::uint64_t appended_bytes() const noexcept {
    return bytes_.load(std::memory_order_relaxed);
  }
  /// steady_clock time of the oldest append that is not on disk yet, in ns since its epoch; 0: all
  /// is. About as exact as a round.
  [[nodiscard]] std::uint64_t oldest_pending_ns() const noexcept {
    const auto taken = taken_since_ns_.load(std::memory_order_relaxed);
    return taken != 0 ? taken : dirty_since_ns_.load(std::memory_order_relaxed);
  }

private:
  friend class wal_stream;

  /// What the stream takes for a round.
  struct taken_round {
    log_buffer buffer;
    held_parts parts;
    lsn_t assigned = 0; ///< all LSNs handed out so far
    lsn_t last = 0;     ///< last appended record
    lsn_t reserved = 0;
    epoch_t epoch = 0;
    lsn_t commit = commit_untold;
    std::uint64_t cuts = 0;
    bool force_frame = false; ///< also when no record waits: something is in the header
    bool cut = false;         ///< that forced frame cuts the log
  };

  void attach(std::shared_ptr<stream_gate> gate, std::uint32_t index, std::uint64_t frame_bytes,
              lsn_t reserved, std::uint64_t block);
  void take(taken_round& round) noexcept; ///< takes the lock; `round` is empty
  /// Its bytes are on disk. True: the durable LSN or the state of failure changed. Adds to
  /// `settled` the transactions of which the last part was here: all their shards must advance()
  /// then.
  bool publish(taken_round& round, settled_transactions& settled) noexcept;
  bool advance(settled_transactions& settled) noexcept; ///< some transaction has changed its state
  /// Was request_sync() called since this was last asked?
  [[nodiscard]] bool take_wish() noexcept {
    return wished_.load(std::memory_order_seq_cst) &&
           wished_.exchange(false, std::memory_order_seq_cst);
  }
  /// Somebody waits for what is on disk here: asks for rounds of the streams that have yet to write
  /// a part of a transaction that is in the way, once for each transaction. Throws std::bad_alloc:
  /// then those streams write when their time has come.
  void press();
  [[nodiscard]] bool is_on_disk(lsn_t lsn) const;
  void fail() noexcept; ///< nothing more gets to disk
  void revive(lsn_t assigned,
              settled_transactions& settled) noexcept; ///< a checkpoint holds all up to `assigned`
  bool advance_locked(settled_transactions& settled) noexcept;
  void open_frame();
  void note_appended(lsn_t lsn) noexcept;
  void mark_dirty() noexcept;

  static constexpr lsn_t commit_untold = ~lsn_t{0};
  static constexpr std::uint8_t failed_stream = 1, failed_transaction = 2;
  static constexpr std::uint64_t account_bytes =
      4'096; ///< the stream learns of bytes in steps of this size

  const shard_id shard_;
  shard_lock& lock_;
  std::shared_ptr<stream_gate> gate_; ///< of its stream
  std::uint32_t index_ = 0;           ///< in the stream
  std::uint64_t frame_bytes_ = 0;

  // Under the shard's lock.
  lsn_t next_, last_;
  epoch_t record_epoch_;
  std::uint64_t block_ = 0;
  lsn_t reserve_to_ = 0; ///< what the next frames will reserve
  lsn_t renew_at_ = 0;   ///< when next_ gets here another block is reserved
  log_buffer active_;
  held_parts active_parts_, spare_parts_;
  bool dirty_ = false, force_frame_ = false, renew_ = false, cut_ = false;
  std::uint64_t accounted_ = 0; ///< bytes of active_ that the stream knows of
  std::uint64_t cuts_made_ = 0;
  lsn_t commit_ = commit_untold;

  std::atomic<lsn_t> last_appended_; ///< last_, for durable()
  std::atomic<epoch_t> epoch_;
  std::atomic<lsn_t> reserved_{0}; ///< LSNs up to here may be handed out
  std::atomic<lsn_t> durable_;
  std::atomic<epoch_t> durable_epoch_;
  std::atomic<std::uint8_t> failed_{0};
  std::atomic<bool> starved_{false}; ///< admit() found too few reserved LSNs
  std::atomic<bool> wished_{false};  ///< by request_sync()
  std::atomic<std::uint64_t> records_{0}, bytes_{0};
  std::atomic<std::uint64_t> dirty_since_ns_{0}, taken_since_ns_{0};

  mutable std::mutex
      publish_mutex_; ///< guards what follows; taken inside the shard's lock by cut()
  lsn_t on_disk_; ///< everything logged up to here is; durable_ lags behind while a hold is in the
                  ///< way
  std::uint64_t cuts_ = 0;
  lsn_t cut_to_ = lsn_max; ///< lowest cut that a round in progress may not know of
  held_parts holds_; ///< parts on disk, by LSN, from the first whose transaction is not settled
};

} // namespace warp::storage
