#pragma once

#include "messages/ids.hpp"
#include "messages/operations.hpp"
#include "messages/shared_bytes.hpp"
#include "messages/status.hpp"
#include "storage/pending_writes.hpp"
#include "storage/staged_write.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <unordered_set>

namespace warp::storage {

/// One transaction of a primary, on what is committed and pending in its shard: what
/// storage::transaction and atomic batches stand on there. Keys are brought into the small shard
/// beside the table, where the writes are staged; commit() makes them pending, all with one LSN and
/// as one record. Going away without it, none of it has been.
///
/// One thread, and nothing else is done to the shard's pending_writes meanwhile.
class pending_transaction {
public:
  /// `all` is borrowed; `lsn`: of the record, above all that are pending.
  pending_transaction(pending_writes& all, lsn_t lsn, write_limits limits);
  ~pending_transaction();
  pending_transaction(const pending_transaction&) = delete;
  pending_transaction& operator=(const pending_transaction&) = delete;

  /// Where the keys are and the writes are staged.
  [[nodiscard]] shard& at() noexcept { return all_.overlay_; }
  [[nodiscard]] bool takes_keys() const noexcept { return limits_.to == write_limits::scope::keys; }
  [[nodiscard]] bool takes_clear() const noexcept {
    return limits_.to == write_limits::scope::clear;
  }
  /// Before the key is looked at or written. Throws std::bad_alloc.
  void bring(std::string_view key);
  /// May it write so many bytes in all? ok, overloaded, invalid_argument (it never may), or why
  /// nothing is written now.
  [[nodiscard]] op_code admit(std::uint64_t bytes) const noexcept;
  void note_level(durability asked) noexcept;
  /// Is there a record that a clear would remove?
  [[nodiscard]] bool has_records();
  /// Every key is gone; `staged` so far is what was written before.
  void clear(const staged_writes& staged) noexcept;
  /// Has a key that was absent come and gone since a mark?
  [[nodiscard]] bool came_and_went(std::string_view key, lsn_t since, std::uint64_t reign);

  /// The body of the record to log, empty where nothing was changed. Then commit() cannot fail.
  /// Throws std::bad_alloc.
  [[nodiscard]] shared_bytes prepare(const staged_writes& staged);
  /// Between settle() and let_go() of at().
  void commit(const staged_writes& staged) noexcept;

  /// The newest pending record that anything here was seen of, before it; 0: none.
  [[nodiscard]] lsn_t depends_on() const noexcept { return depends_on_; }
  [[nodiscard]] std::uint8_t levels() const noexcept { return levels_; }

private:
  pending_writes& all_;
  const lsn_t lsn_;
  const write_limits limits_;
  std::unordered_set<pending_key*> touched_, changed_;
  std::size_t ordered_ = 0; ///< entries that prepare() has added
  bool cleared_ = false, committed_ = false;
  std::size_t cleared_from_ = 0; ///< what is staged from here on came behind the clear
  lsn_t depends_on_ = 0;
  std::uint8_t levels_ = 0;
};

} // namespace warp::storage
