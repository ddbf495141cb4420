#pragma once

#include "messages/ids.hpp"
#include "messages/operations.hpp"
#include "messages/ring.hpp"
#include "messages/shared_bytes.hpp"
#include "messages/status.hpp"
#include "storage/key_mark.hpp"
#include "storage/pending_keys.hpp"
#include "storage/reply.hpp"
#include "storage/shard.hpp"
#include "storage/staged_write.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace warp::storage {

/// What an operation on a replicated shard has done.
struct write_effect {
  shared_bytes body;       ///< of the record to log; empty: nothing was changed
  lsn_t depends_on = 0;    ///< the reply tells of this pending record; 0: of none
  std::uint8_t levels = 0; ///< of a transaction: bit n: of durability n, that something asked for
};

/// What a transaction may write.
struct write_limits {
  /// What it may do at all: read and write keys, or clear the shard, or neither.
  enum class scope : std::uint8_t { keys, clear, nothing };
  scope to = scope::keys;
  op_code refusal = op_code::ok; ///< what a write is answered; ok: it is done
  /// Bytes of keys and values now, and at any time.
  std::uint64_t bytes_now = ~std::uint64_t{0}, bytes_ever = ~std::uint64_t{0};
};

/// What a primary has executed and nobody has committed: beside the table, not in it, in a small
/// shard without a log that has the keys with pending writes as these leave them. A key that is not
/// among them is as the table has it, or gone while the removal of all keys is pending. So to undo
/// is to forget, and restores value, expiry, version and request ids exactly.
///
/// A put that looks at nothing and has no expiry waits as the record to log, and is made in that
/// small shard when somebody asks for the key: most are committed before.
///
/// What throws std::bad_alloc has changed nothing. Its memory is taken from the universe's budget;
/// how much may be pending is the caller's to bound. One thread at a time; `home`, the shard beside
/// which it is, is locked where it is read.
class pending_writes {
public:
  /// All borrowed.
  pending_writes(shard& home, const engine_options& options, const clock& time,
                 std::shared_ptr<table_memory> memory);

  /// See replicated_shard.
  [[nodiscard]] bool answer_retry(const operation& op, op_reply& reply, write_effect& effect);
  void execute(const operation& op, lsn_t lsn, std::uint64_t now_ms, value_arena& arena,
               op_reply& reply, write_effect& effect);
  [[nodiscard]] bool has_expired(std::string_view key, std::uint64_t now_ms);
  void expire(std::string_view key, lsn_t lsn, write_effect& effect);

  /// The records up to this LSN are in the table now; does nothing for those that never were
  /// pending here.
  void committed(lsn_t lsn) noexcept;
  void undo() noexcept;
  [[nodiscard]] std::size_t size() const noexcept { return order_.size(); }

  /// See key_mark: its reign is a count of the calls of undo(). Throws std::bad_alloc.
  [[nodiscard]] key_mark mark(engine& owner, std::string_view key, lsn_t last);

private:
  friend class pending_transaction;
  struct entry {
    lsn_t lsn = 0;
    pending_key* key = nullptr; ///< stays where it is
  };

  void read(const operation& op, std::uint64_t hash, std::uint64_t now_ms, pending_key* at,
            value_arena& arena, op_reply& reply);
  void put_blindly(const operation& op, pending_key* at, std::uint64_t hash, lsn_t lsn,
                   op_reply& reply, write_effect& effect);
  void write(const operation& op, pending_key* at, std::uint64_t hash, lsn_t lsn,
             std::uint64_t now_ms, value_arena& arena, op_reply& reply, write_effect& effect);

  void forget(pending_key& key) noexcept;
  void set_unmade(pending_key& to, shared_bytes body) noexcept;
  /// Makes in the overlay what waits as a record. Throws std::bad_alloc, and has changed nothing.
  void make(pending_key& what);
  void make_all();
  /// The newest pending record that tells how a key is; 0: none does.
  [[nodiscard]] lsn_t seen_at(const pending_key* at) const noexcept;
  /// Copies a key's record, if it is there and not removed by a clear, from the table.
  void adopt(std::uint64_t hash, std::string_view key);
  /// For those who have marked keys that were absent. Before let_go().
  void note_removals(const staged_writes& done, bool cleared) noexcept;

  shard& home_;
  const engine_options& options_;
  const clock& time_;
  shard overlay_;
  pending_keys keys_;
  std::size_t unmade_ = 0; ///< keys that have an unmade record
  /// Of memory that those would take. Other writes may use what was reserved for it meanwhile; then
  /// more than the budget has is taken until it settles.
  std::uint64_t unmade_bytes_ = 0;
  ring<entry> order_;    ///< by LSN
  staged_writes staged_; ///< of one operation
  shared_bytes_maker bodies_;
  lsn_t cleared_at_ = 0;     ///< of the newest pending removal of all keys; 0: none
  std::uint64_t undone_ = 0; ///< calls of undo()
};

} // namespace warp::storage
