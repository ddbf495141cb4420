#pragma once

#include "messages/ids.hpp"
#include "messages/operations.hpp"
#include "messages/shared_bytes.hpp"
#include "messages/status.hpp"
#include "storage/batch.hpp"
#include "storage/engine.hpp"
#include "storage/key_mark.hpp"
#include "storage/record.hpp"
#include "storage/reply.hpp"

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace warp::storage {

class pending_transaction;

/// What the body of engine::transact() reads and writes with, while the locks of its shards are
/// held: everybody else waits, so it should be short, and must not call the engine. What it writes
/// it sees at once, others all of it or nothing.
///
/// The body may run more than once, from the beginning and on newer data, when the log has no room
/// for what it writes: what it does elsewhere must be undone or done after the commit.
///
/// Of a replicated shard it works on what is committed and pending, there is one shard, and scan()
/// and key_count() fail (not_supported).
///
/// One thread, and only during the call that hands it out.
class transaction {
public:
  ~transaction();
  transaction(const transaction&) = delete;
  transaction& operator=(const transaction&) = delete;

  /// The time at which what has expired is absent, the same for the whole run; above 0.
  [[nodiscard]] std::uint64_t now_ms() const noexcept { return now_ms_; }

  /// The live record of a key, or null. It stays as it is until the transaction ends, whatever is
  /// written meanwhile.
  [[nodiscard]] const record* find(std::string_view key);

  /// Was anything done to the key since the mark was made? Before the first write to it.
  [[nodiscard]] bool has_changed(const key_mark& mark);

  /// The next records in hash order, as engine::scan() answers; all shards must be locked. What was
  /// written before is seen.
  void scan(std::uint64_t cursor, std::string_view prefix, std::size_t limit, scan_page& page,
            std::size_t buckets_max = 1'000);
  /// Of all shards that are locked, those that have expired and are still there included.
  [[nodiscard]] std::uint64_t key_count();

  /// Executes an operation, as engine::execute() does it, without a request id. Key and value are
  /// borrowed for this call only. Conditions that do not hold are an answer like any other; what
  /// ends in failure() has the same answer, and all that follows too. `prepared`: a value of
  /// blob_size_min bytes or more, copied (and compressed) outside the locks; without it it is
  /// copied under them and logged as it is.
  void apply(const operation& op, op_reply& reply, const large_value* prepared = nullptr);

  /// Removes every key, in bounded time; all shards must be locked. Fails as apply() does. The
  /// memory is given back when the locks are: before engine::transact() returns, or `behind` it, on
  /// a thread of the engine.
  enum class freeing : std::uint8_t { at_once, behind };
  void clear(durability level, freeing when = freeing::at_once);

  /// ok; else why nothing of all this can be done, whatever the body says:
  ///   wrong_shard       a key of a shard that was not named
  ///   invalid_argument  an operation that makes no sense, or has a request id
  ///   overloaded, no_space, io_error, no_replicas, shutting_down
  [[nodiscard]] op_code failure() const noexcept { return failed_; }

private:
  friend class engine;
  friend class replicated_shard;
  struct share; ///< of one shard; transaction_share.hpp

  /// `shards`: numbers in any order, also more than once. Throws std::bad_alloc, as whatever is not
  /// noexcept; nothing is changed then once it has gone away.
  transaction(engine::state& state, std::vector<std::uint32_t> shards, durability level);

  /// Of a replicated shard; `pending` is borrowed.
  transaction(engine::state& state, pending_transaction& pending, std::uint64_t now_ms);
  /// What was applied is pending: the body of the record to log, or nothing. Throws std::bad_alloc,
  /// and nothing is done then.
  [[nodiscard]] shared_bytes commit_pending();

  [[nodiscard]] std::span<share> shares() noexcept;
  [[nodiscard]] share* share_of(std::uint32_t shard) noexcept;
  /// Takes all locks in ascending order of shards, with room in all logs for what each share says
  /// it writes; waits for that. ok with all locks held, or a refusal with none.
  [[nodiscard]] op_code lock();
  /// What was applied is done, for readers and in the log at once. Gives the locks back.
  void commit();
  /// What was applied has never been. Gives the locks back.
  void take_back() noexcept;
  /// After a run that failed for want of room: waits for it.
  [[nodiscard]] op_code wait_for_room();
  [[nodiscard]] op_code wait_for_room(share& s);
  [[nodiscard]] op_code admit(share& s, std::uint64_t writes, std::uint64_t bytes) noexcept;
  void apply_one(const operation& op, op_reply& reply, const large_value* prepared);
  void begin_writing(share& s);
  void clear_pending(durability level);
  void show_found(const share& s, std::string_view key, std::uint64_t hash,
                  const record& r) const noexcept;
  void note_seen(share& s, lsn_t lsn, lsn_t before) noexcept;
  void refuse(op_reply& reply, op_code code) noexcept;
  /// What the answer waits for; asks the log for it.
  void add_waits(bool done, std::vector<durable_target>& waits);

  engine::state& state_;
  pending_transaction* const pending_ = nullptr;
  const bool waits_for_reads_; ///< answers wait until what was read is durable
  std::uint64_t now_ms_ = 0;
  op_code failed_ = op_code::ok;
  freeing freeing_ = freeing::at_once;
  std::unique_ptr<share[]> shares_; ///< in ascending order
  std::size_t share_count_ = 0;
  std::optional<std::chrono::steady_clock::time_point> deadline_; ///< since it waits for room
  value_arena arena_;
};

} // namespace warp::storage
