#pragma once

#include "messages/ids.hpp"
#include "messages/operations.hpp"
#include "messages/shared_bytes.hpp"
#include "messages/status.hpp"
#include "storage/applied_place.hpp"
#include "storage/log_record.hpp"
#include "storage/pending_writes.hpp"
#include "storage/record_body.hpp"
#include "storage/reply.hpp"
#include "storage/transaction.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace warp::storage {

class engine;
class shard;
class shard_log;

/// What a start has found of a replicated shard (engine_options::replicated).
struct replica_start {
  applied_place applied; ///< what the table holds; at first what its checkpoint did
  lsn_t commit = 0;      ///< the table was filled up to here; at least the checkpoint's end
  lsn_t last = 0;        ///< of the log, what is not known to be committed included
  epoch_t max_epoch = 0; ///< the highest in the log: a fence is among it
};

/// A record that is committed.
struct committed_record {
  lsn_t lsn = 0;
  std::string_view body;
};

/// A record for the log; decode_body() has said, or would say, that it is one.
struct copied_record {
  lsn_t lsn = 0;
  epoch_t epoch = 0;
  std::string_view body;
};

/// A shard as one of several copies on different nodes: its log takes records before anybody knows
/// whether they stand, its table takes them when they are committed. So the table, checkpoints and
/// what a start puts into the table hold what is committed and nothing else, and what a primary has
/// to take back never was in them.
///
/// A record's *body* is what stands in the log of it but for its LSN (log_record.hpp); an empty one
/// is the record that begins an epoch. The same bytes go to other copies.
///
/// What a primary executes goes into `pending_writes` beside the table until it is committed. The
/// shard's table and log are behind its lock, as of any shard; the rest is of one thread at a time,
/// which calls everything here. Nothing but install() blocks. Made by engine::replicate(), which it
/// must not outlive.
class replicated_shard {
public:
  replicated_shard(engine& owner, shard& s, replica_start& start);
  replicated_shard(const replicated_shard&) = delete;
  replicated_shard& operator=(const replicated_shard&) = delete;

  [[nodiscard]] shard_id id() const noexcept;
  [[nodiscard]] const replica_start& found() const noexcept { return start_; }
  [[nodiscard]] const applied_place& applied() const noexcept { return start_.applied; }

  // -- the log
  // ------------------------------------------------------------------------------------------------------

  /// Does the log take more now? Whoever appends without asking uses more memory than the buffers
  /// were given.
  [[nodiscard]] bool has_room() const noexcept;
  /// Has the log failed? Then nothing more gets to disk.
  [[nodiscard]] bool log_failed() const noexcept;
  /// Appends records whose LSNs are above that of the last one, in order; they get to disk in one
  /// round. no_space: there is no memory for one of them; the copy is not to be used on.
  [[nodiscard]] op_status append(std::span<const copied_record> records);
  /// Raises the epoch of the log; durable_epoch() says when that is on disk.
  void fence(epoch_t epoch);
  /// Cuts off what lies above `last`, which is a record, the end of a checkpoint or 0.
  void cut(lsn_t last);
  /// What a start may put into the table. With `at_once` it gets to disk though nothing follows.
  void note_commit(lsn_t lsn, bool at_once = false);
  void request_sync() noexcept;
  [[nodiscard]] lsn_t durable_lsn() const noexcept;
  [[nodiscard]] epoch_t durable_epoch() const noexcept;

  // -- the table
  // ----------------------------------------------------------------------------------------------------

  /// After a start: the place that `found().commit` is, which only the log can tell.
  void resume(const applied_place& at);
  /// These records, up to apply_max, the next above applied() and in order, are committed, and the
  /// log is told so; `end` is the place of the last. not_supported: nothing was done, they have to
  /// come one by one (several changes in a record, and compressed values, are not made under one
  /// lock). corruption, no_space: not all of them are in the table; the copy is not to be used on.
  [[nodiscard]] op_status apply(std::span<const committed_record> records,
                                const applied_place& end);
  /// More would not be faster.
  static constexpr std::size_t apply_max = 32;
  /// The checkpoint file of another copy, which ends at `end`, takes the place of table and log,
  /// and a checkpoint of this copy is made of it. Blocks. Whatever it returns but ok, the copy is
  /// of no use until it succeeds. The file stays the caller's.
  [[nodiscard]] op_status install(const std::string& path, const applied_place& end);

  // -- a primary
  // ----------------------------------------------------------------------------------------------------

  /// For a write with a request id: true, and the reply says how it went, when it was done before,
  /// or may have been.
  [[nodiscard]] bool answer_retry(const operation& op, op_reply& reply, write_effect& effect);
  /// Executes an operation, which answer_retry() does not know, on what is committed and, above it,
  /// pending. A change is pending with `lsn`, which is above all before: `effect.body` is the
  /// record to log. Without a body nothing was changed. The reply may be told when
  /// `effect.depends_on` (0: at once) and the record are committed. `now_ms`, above 0: what expires
  /// by then is absent, and should have been removed before.
  void execute(const operation& op, lsn_t lsn, std::uint64_t now_ms, value_arena& arena,
               op_reply& reply, write_effect& effect);
  /// Runs a transaction on what is committed and pending, as engine::transact() does; `effect` as
  /// of execute(), as `now_ms` is: its record has all that was changed. Not ok: nothing was done,
  /// for the reason that transaction::failure() has; no_space.
  [[nodiscard]] op_code transact(lsn_t lsn, std::uint64_t now_ms, const write_limits& limits,
                                 const transaction_body& body, write_effect& effect);
  /// An atomic batch, all of this shard, as engine::execute_atomic() has it; the same.
  [[nodiscard]] op_code execute_atomic(std::span<const operation> operations, lsn_t lsn,
                                       std::uint64_t now_ms, const write_limits& limits,
                                       std::span<op_reply> replies, value_arena& arena,
                                       write_effect& effect);
  /// engine::mark(), of pending writes too; `last`: the LSN of the newest one, or above. Throws
  /// std::bad_alloc.
  [[nodiscard]] key_mark mark(std::string_view key, lsn_t last);
  [[nodiscard]] std::uint64_t now_ms() const noexcept; ///< above 0
  /// Is the record of the key there, and past its time by then? Nobody may be told that it is gone
  /// before its removal is committed.
  [[nodiscard]] bool has_expired(std::string_view key, std::uint64_t now_ms);
  /// Removes it, as execute() does.
  void expire(std::string_view key, lsn_t lsn, write_effect& effect);
  /// Up to `keys_max` keys that have expired, of at most `buckets_max` buckets, going on where the
  /// last call ended.
  [[nodiscard]] std::vector<std::string> find_expired(std::size_t keys_max,
                                                      std::size_t buckets_max);
  /// Everything that is pending has not happened, request ids included.
  void undo() noexcept;
  [[nodiscard]] std::size_t pending() const noexcept { return pending_.size(); }

private:
  void make(const applied_place& to, std::span<const log_record> changes);
  [[nodiscard]] op_status make_one(const applied_place& to, log_record& record);
  [[nodiscard]] op_code run_atomic(std::span<const operation> operations, lsn_t lsn,
                                   std::uint64_t now_ms, const write_limits& limits,
                                   std::span<op_reply> replies, value_arena& arena,
                                   write_effect& effect);

  engine& engine_;
  shard& shard_;
  shard_log& log_;
  replica_start& start_;
  pending_writes pending_;
  std::uint64_t sweep_cursor_ = 0;
};

} // namespace warp::storage
