#pragma once

#include "messages/operations.hpp"
#include "storage/engine.hpp"
#include "storage/reply.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace warp::cluster {

/// What an acknowledgement waits for, see engine::durable().
struct durable_target {
  shard_id shard;
  lsn_t lsn = 0;
};

/// The keys that one command, or one transaction, reads and writes: it computes on a view of them
/// and then changes all at once, or nothing.
///
///     begin() -> load() / look() / get() -> put() / erase() / expire() -> commit()
///
/// Reads see the writes before them. commit() does the writes only if no key that was read has
/// changed meanwhile; else it answers version_mismatch, nothing was done, and the whole is to be
/// repeated. So what was read and what is written belong to one moment, for all who use the engine.
///
/// One thread. Keys and values that are handed in must live until the next begin().
class resp_view {
public:
  /// A key as it is within the view.
  struct key_view {
    bool present = false;
    std::uint64_t expires_at_ms = 0; ///< 0: never
    std::string_view value;          ///< only from get(); lives until the next begin()
  };

  /// The engine is borrowed.
  explicit resp_view(storage::engine& engine) : engine_(&engine) {}

  /// Forgets everything. `now_ms` is the time for all that follows: what expires by then is absent.
  void begin(durability level, std::uint64_t now_ms);
  [[nodiscard]] std::uint64_t now_ms() const noexcept { return now_ms_; }

  /// Reads keys together, as they are at one moment, with their values or without; those that are
  /// known already are left out.
  void load(std::span<const std::string_view> keys, bool values = true);
  /// Is it there, and until when? The reference lives until the next call.
  const key_view& look(std::string_view key);
  /// The same with the value.
  const key_view& get(std::string_view key);
  /// Version of a key as it was met; 0: absent. After look() or get().
  [[nodiscard]] lsn_t version_met(std::string_view key);

  void put(std::string_view key, std::string_view value, std::uint64_t expires_at_ms);
  /// False: there was none.
  bool erase(std::string_view key);
  /// The key must be present.
  void expire(std::string_view key, std::uint64_t expires_at_ms);
  /// Keeps a computed value alive.
  std::string_view keep(std::string value) { return kept_.emplace_back(std::move(value)); }

  /// ok; version_mismatch: begin anew; anything else: it can't be done, with the reason in the
  /// code, and nothing was. A failed read is reported here too.
  [[nodiscard]] op_code commit();
  /// What the answer waits for at the view's level, after commit().
  [[nodiscard]] std::span<const durable_target> waits() const noexcept { return waits_; }
  [[nodiscard]] bool writes_something() const noexcept;

private:
  struct entry {
    std::string_view key;
    key_view now;      ///< within the view
    key_view met;      ///< in the engine; value only when has_value
    lsn_t version = 0; ///< met
    bool known = false, has_value = false;
    bool written = false, erased = false, expiry_set = false;
    storage::blob_ref large; ///< keeps met.value alive
  };

  entry& find(std::string_view key);
  void wait_for(const storage::op_reply& reply);
  void fill(entry& e, storage::op_reply& reply, bool with_value);
  void read(entry& e, op_kind kind);
  [[nodiscard]] op_code execute_writes();

  storage::engine* engine_;
  durability level_ = durability::unspecified;
  std::uint64_t now_ms_ = 0;
  std::vector<entry> entries_;
  std::unordered_map<std::string_view, std::size_t> index_; // when there are many entries
  std::deque<std::string> kept_;
  storage::value_arena arena_;
  std::vector<operation> operations_;
  std::vector<storage::op_reply> replies_;
  std::vector<durable_target> waits_;
  unsigned reads_ = 0; // times the engine was asked: more than once is more than one moment
  op_code failed_ = op_code::ok;
};

} // namespace warp::cluster
