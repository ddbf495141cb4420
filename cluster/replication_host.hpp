#pragma once

#include "cluster/replica_marks.hpp"
#include "cluster/replication/replica.hpp"
#include "cluster/ticket_ring.hpp"
#include "messages/operations.hpp"
#include "messages/shared_bytes.hpp"
#include "messages/status.hpp"
#include "storage/engine.hpp"
#include "storage/log_cursor.hpp"
#include "storage/replicated_shard.hpp"
#include "storage/reply.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace warp::cluster {

/// What a replication_host needs of the rest of its node: clock, network and etcd. Called on the
/// thread that calls the host, never to be waited for; none of it may call the host.
class replication_surroundings {
public:
  virtual ~replication_surroundings() = default;
  /// Of CLOCK_BOOTTIME; never goes back.
  [[nodiscard]] virtual replication::moment now() = 0;
  virtual void send(replication::node_id to, replication::message what) = 0;
  /// A linearizable read; answered by event::authority_read.
  virtual void read_authority() = 0;
  /// Answered by event::authority_read when it has certainly succeeded, by event::compare_failed
  /// when etcd said that it did not compare, and by nothing when nobody knows.
  virtual void compare_and_set(std::uint64_t compared_revision,
                               const replication::authority& value) = 0;
  /// Bring the shard's newest checkpoint (engine::newest_checkpoint(); one has to be made where
  /// there is none) to that node, whose host is told by checkpoint_arrived().
  virtual void offer_checkpoint(replication::node_id to, epoch_t max_epoch) = 0;
  /// What became of event::accept_loss (R11), to be logged and counted: ok, or why it was refused.
  virtual void loss_decided(const op_status& what) = 0;
  /// The checkpoint that is arriving is of no use any more: a newer one has to be brought.
  virtual void checkpoint_outdated() = 0;
  /// Clients may come, or should go elsewhere.
  virtual void serving(bool begins, epoch_t epoch) = 0;
  /// The copy has halted: its log has failed (io_error), its memory is used up (no_space), or
  /// something is wrong that no fault explains (corruption). The node should end, and its other
  /// copies hand over.
  virtual void halted(const op_status& why) = 0;
};

struct replication_host_options {
  replication::replication_options machine; ///< reads_log is set by the host
  /// Bytes of records that may wait for their commit; more is answered overloaded (I12). Beside it
  /// counts machine.window.
  std::size_t pending_bytes_max = 64u << 20;
  /// Bytes of committed records that stay in memory for copies that lag behind; what is older is
  /// read from the log.
  std::size_t kept_bytes = 16u << 10;
  /// Answers that may wait at a time; more is answered overloaded. A power of two.
  std::size_t tickets = 1u << 14;
  /// Of this start of the node, above all earlier ones, for its copies to draw boots from (a
  /// million each); 0: by the number of the start, which a data folder that was made anew begins
  /// again.
  std::uint64_t first_boot = 0;
};

struct replication_host_stats {
  std::uint64_t writes = 0, reads = 0; ///< that were executed here
  std::uint64_t overloaded = 0;        ///< writes refused because too much waits
  std::uint64_t appends_dropped = 0;   ///< from a primary, for a log without room; sent again
  std::uint64_t records_refused = 0;   ///< malformed ones from a primary
  std::uint64_t log_reads = 0;         ///< for copies that lag behind
  std::uint64_t checkpoints_installed = 0;
  std::uint64_t expired = 0;
  std::size_t held_records = 0, held_bytes = 0, pending_bytes = 0;
};

/// One copy of one shard at work: the replication machine (replication/replica.hpp), the shard of
/// the storage engine that is its log and table (storage/replicated_shard.hpp), and what comes
/// between. Clients' operations become events of the machine, the machine's actions become calls of
/// storage and of `replication_surroundings`.
///
///     a write   execute on what is committed and pending -> client_writes -> the log, Appends ->
///               committed -> the table, the ticket
///     a read    execute likewise -> at once, when what it saw is committed and the lease holds;
///               else client_read -> the ticket
///     a record  of another primary: the log -> wal_synced -> Ack; committed -> the table
///
/// The engine has options.replicated, and somebody drives its streams and calls on_round() after
/// rounds. An event queue without threads: one thread at a time calls it, and nothing but the
/// installation of a checkpoint, and its marks, blocks.
class replication_host {
public:
  /// Takes up what a start of the engine has found. `engine` and `around` are borrowed. corruption:
  /// the copy's log or marks are damaged; io_error.
  [[nodiscard]] static op_result<std::unique_ptr<replication_host>>
  open(storage::engine& engine, shard_id shard, replication::node_id self,
       replication_host_options options, replication_surroundings& around);
  replication_host(const replication_host&) = delete;
  replication_host& operator=(const replication_host&) = delete;

  // -- clients
  // ------------------------------------------------------------------------------------------------------

  /// Executes those of the operations whose numbers are in `which`, in that order, all on keys of
  /// this shard, and fills their replies: see storage/replicated_executor.hpp; op_reply::durable_at
  /// is a ticket. What they log leaves in one Append for each copy and one round of the log.
  /// op.level of a write says what its answer is worth (R3; `memory` is as `async`); of a read it
  /// says nothing: every answer is of what is committed, and linearizable. Codes beside those of
  /// engine::execute():
  ///   unavailable      this copy is not, or no longer, the one to ask; nothing was done
  ///   no_replicas      too few copies for a write; nothing was done
  ///   overloaded       too much waits for its commit; nothing was done
  ///   outcome_unknown  it may have been done or not; a retry with the same request id is safe
  void execute(std::span<const operation> operations, std::span<const std::uint32_t> which,
               std::span<storage::op_reply> replies, storage::value_arena& arena);
  /// The same for an atomic batch, all of this shard: every reply has the one ticket.
  op_code execute_atomic(std::span<const operation> operations,
                         std::span<storage::op_reply> replies, storage::value_arena& arena);
  /// A transaction whose body works on keys of this shard, `keys` among them, or clears it. ok:
  /// `ticket` (0: none) is of its answer. Else nothing was done; or, outcome_unknown, it was.
  op_code transact(std::span<const std::string_view> keys, storage::write_limits::scope to,
                   const storage::transaction_body& body, std::uint64_t& ticket);
  /// For a transaction's transaction::has_changed().
  [[nodiscard]] op_result<storage::key_mark> mark(std::string_view key);
  /// Of what waits. Lock-free, any thread.
  [[nodiscard]] const ticket_ring& tickets() const noexcept { return tickets_; }
  /// Were tickets resolved since the last call, but for those of an execute() that was told at
  /// once?
  [[nodiscard]] bool take_resolved() noexcept { return std::exchange(resolved_, false); }
  /// Is something logged that is not known to be on disk?
  [[nodiscard]] bool waits_for_disk() const noexcept { return !pieces_.empty(); }
  /// Logs the removal of up to so many keys that have expired, if this copy serves.
  void sweep(std::size_t keys_max);

  // -- the rest of the node
  // -----------------------------------------------------------------------------------------

  /// tick, received, authority_read, authority_doorbell, compare_failed, nodes_seen,
  /// move_requested, members_wanted, min_isr_wanted, node_gone, accept_loss, checkpoint_coming,
  /// copy_damaged; the other events are the host's own.
  void handle(replication::replica_event what);
  /// After a round of the log stream.
  void on_round();
  /// A checkpoint file of this shard, from a member with this max_epoch. The file stays the
  /// caller's, and is not needed any more when this has returned. Not ok: it is of no use.
  [[nodiscard]] op_status checkpoint_arrived(epoch_t max_epoch, const std::string& path);

  /// Before engine::close(): what a start may put into the table gets to disk. Nothing is handled
  /// any more; all tickets that are open fail.
  void stop();
  /// After stop(), and engine::close() that was ok: a start may take up its seat (R11).
  /// invalid_argument: the copy had halted before.
  [[nodiscard]] op_status mark_stopped();

  // -- observers
  // ----------------------------------------------------------------------------------------------------

  [[nodiscard]] const replication::replica& machine() const { return *machine_; }
  [[nodiscard]] const storage::replicated_shard& copy() const { return *shard_; }
  [[nodiscard]] bool has_halted() const { return halted_; }
  [[nodiscard]] replication_host_stats stats() const;

private:
  /// Something in the log, and what must be on disk for it to be there.
  struct logged_piece {
    std::uint64_t position;
    lsn_t lsn;     ///< 0: none
    epoch_t epoch; ///< 0: none
  };
  /// Where a copy that lags behind is in this copy's log.
  struct reader {
    std::unique_ptr<storage::log_cursor> cursor;
    lsn_t at = 0;
    epoch_t epoch = 0;
    bool fits = false; ///< the record at `at` is in this log
  };

  /// Of a record in memory, beside its body.
  static constexpr std::size_t record_overhead = 96;
  static constexpr auto no_tickets = ~std::uint64_t{0};

  replication_host(storage::engine& engine, shard_id shard, replication_host_options options,
                   replication_surroundings& around);
  op_status recover(replication::node_id self);
  op_status read_tail(replication::recovered_copy& found);

  void feed(replication::replica_event&& what);
  void step(const replication::replica_event& what);
  void step_machine();
  void drain();
  void on(replication::action::send& a);
  void on(replication::action::write_wal& a);
  void on(const replication::action::sync_wal& a);
  void on(const replication::action::read_authority& a);
  void on(const replication::action::compare_and_set& a);
  void on(const replication::action::logged& a);
  void on(const replication::action::answer& a);
  void on(const replication::action::committed& a);
  void on(const replication::action::undo_pending& a);
  void on(const replication::action::serving& a);
  void on(const replication::action::draw_boot& a);
  void on(const replication::action::offer_checkpoint& a);
  void on(const replication::action::loss_accepted& a);
  void on(const replication::action::loss_refused& a);
  void on(const replication::action::checkpoint_outdated& a);
  void on(const replication::action::read_log& a);
  void on(const replication::action::broken_rule& a);
  void write(std::uint64_t position, const replication::wal::fence& w);
  void write(std::uint64_t position, const replication::wal::records& w);
  void note_piece(std::uint64_t position, lsn_t lsn, epoch_t epoch);
  void write(std::uint64_t position, const replication::wal::truncation& w);
  void write(std::uint64_t position, const replication::wal::commit& w);
  void write(std::uint64_t position, const replication::wal::incomplete& w);
  void write(std::uint64_t position, const replication::wal::complete& w);
  void write(std::uint64_t position, const replication::wal::installation& w);

  [[nodiscard]] bool takes(const replication::replica_event& what);
  /// The place in the log up to which all of it is on disk now, as far as that is news; 0: none.
  [[nodiscard]] std::uint64_t look_at_disk();
  void forget_old();
  op_status read_for(const replication::action::read_log& a, replication::event::log_read& out);
  /// Fills the reply; true: a read that may be told if the lease still holds.
  [[nodiscard]] bool execute_one(const operation& op, std::uint64_t now_ms,
                                 storage::op_reply& reply, storage::value_arena& arena);
  void refuse(storage::op_reply& reply, op_code code) const;
  [[nodiscard]] op_code admit(std::size_t bytes) const;
  [[nodiscard]] storage::write_limits limits(storage::write_limits::scope to) const;
  [[nodiscard]] replication::ack_level highest(std::uint8_t levels) const;
  /// Logs what a transaction has done. ok: it may be told, at once or with the ticket.
  [[nodiscard]] op_code conclude(storage::write_effect effect, std::uint64_t& ticket);
  void tell_machine(replication::replica_event what);
  /// Before a call executes anything.
  void begin_gathering();
  /// Of the next write. Throws std::bad_alloc, having changed nothing: what was executed has to be
  /// gathered, and gather() does not.
  [[nodiscard]] lsn_t prepare_write();
  void gather(std::uint64_t ticket, replication::ack_level level, shared_bytes body) noexcept;
  /// Logs what was gathered.
  void log_gathered();
  /// Of committed records in memory.
  [[nodiscard]] std::size_t held_bytes() const;
  [[nodiscard]] bool remove_expired(std::string_view key);
  void halt(op_status why);
  void halt_for_memory();

  storage::engine& engine_;
  storage::file_system& files_;
  const shard_id id_;
  const replication_host_options options_;
  replication_surroundings& around_;
  std::unique_ptr<storage::replicated_shard> shard_;
  std::unique_ptr<replication::replica> machine_;
  replica_marks marks_;
  std::uint64_t boot_ = 0; ///< the last one drawn
  bool halted_ = false, stopped_ = false;

  std::deque<replication::replica_event> events_;
  std::deque<logged_piece> pieces_;               ///< not known to be on disk
  std::size_t pending_bytes_ = 0;                 ///< of records that are not applied
  std::size_t gathered_ = 0, gathered_bytes_ = 0; ///< writes that are executed, and not logged
  replication::action::logged expected_;          ///< of what the machine is told to log
  ticket_ring tickets_;
  std::uint64_t own_from_; ///< the first ticket of the execute() that runs; none: above all
  bool resolved_ = false;
  std::string incoming_; ///< path of a checkpoint, while it is handled
  /// What the log has up to here may be of another history: this copy's first checkpoint here.
  storage::applied_place floor_;
  std::map<replication::node_id, reader> readers_;
  replication_host_stats stats_;
};

} // namespace warp::cluster
