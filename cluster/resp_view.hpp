#pragma once

#include "cluster/cluster_map.hpp"
#include "messages/operations.hpp"
#include "storage/engine.hpp"
#include "storage/hash_view.hpp"
#include "storage/transaction.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace warp::cluster {

using storage::durable_target;

/// The keys that one command, or one transaction, reads and writes, while nobody else does: an
/// engine::transact() in the words of commands.
///
///     prepare() -> run(keys, ..., work) { get() / look() / put() / erase() / expire() } -> waits()
///
/// `work` may run more than once: it begins by forgetting what it did before. Reads see the writes
/// before them. What fails is remembered, the rest of `work` does nothing any more, and run() says
/// why.
///
/// One thread.
class resp_view {
public:
  /// A key as it is within the view.
  struct key_view {
    bool present = false;
    std::uint64_t expires_at_ms = 0; ///< 0: never
    value_type type = value_type::bytes;
    std::string_view value;    ///< of bytes; lives until run() ends, whatever is done to the key
    storage::hash_view fields; ///< of a hash, likewise
    storage::blob* large = nullptr; ///< of an indexed one
    lsn_t version = 0;              ///< of a hash
  };

  /// Both are borrowed; no cluster: null. In one, `all keys` are those of the shards that this node
  /// serves, and scope::all_shards is not to be used.
  explicit resp_view(storage::engine& engine, const cluster_view* cluster = nullptr)
      : engine_(&engine), cluster_(cluster) {}

  /// Values that the next run() may put: what is large is copied and compressed here, outside the
  /// locks. They must live until then.
  void prepare(std::span<const std::string_view> values);

  /// The hash that the next run() may give another name: where it is a large one, what the log is
  /// to have of it is made here, outside the locks. A change between now and then makes it in vain.
  void prepare_copy(std::string_view key);

  /// Which shards are locked.
  enum class scope : std::uint8_t { keys, all_shards };
  /// Runs `work` with the keys (with all there are), and does its writes when it returns true: ok.
  /// Else nothing was done, for the reason in the code.
  [[nodiscard]] op_code run(std::span<const std::string_view> keys, scope which, durability level,
                            const std::function<bool()>& work);
  /// What the answer waits for at the view's level, after run().
  [[nodiscard]] std::span<const durable_target> waits() const noexcept { return waits_; }

  // -- within `work`
  [[nodiscard]] bool running() const noexcept { return current_ != nullptr; }
  /// The time for all that is done: what expires by then is absent.
  [[nodiscard]] std::uint64_t now_ms() const noexcept { return current_->now_ms(); }

  [[nodiscard]] key_view get(std::string_view key);
  /// The same for a command on strings: where the key has another type it seems absent, nothing is
  /// written any more, and met_wrong_type() says so.
  [[nodiscard]] key_view text(std::string_view key);
  /// Has the command met such a key?
  [[nodiscard]] bool is_of_wrong_type() const noexcept { return wrong_type_; }
  /// The same; asked once, after each command.
  [[nodiscard]] bool met_wrong_type() noexcept { return std::exchange(wrong_type_, false); }
  void put(std::string_view key, std::string_view value, std::uint64_t expires_at_ms);
  /// Puts what another key was seen to have.
  void put_like(std::string_view key, const key_view& value, std::uint64_t expires_at_ms);
  /// Any operation, at the view's level. The reply lives until the next call that writes.
  const storage::op_reply& apply(operation op);
  /// False: there was none.
  bool erase(std::string_view key);
  /// The key must be present.
  void expire(std::string_view key, std::uint64_t expires_at_ms);
  /// Removes every key; all shards must be locked.
  void clear(storage::transaction::freeing when) { current_->clear(level_, when); }
  [[nodiscard]] bool has_changed(const storage::key_mark& mark) {
    return current_->has_changed(mark);
  }

  // -- within or outside of it; within `work` all shards must be locked
  op_status scan(std::uint64_t cursor, std::string_view prefix, std::size_t limit,
                 storage::scan_page& page, std::size_t buckets_max = 1'000);
  [[nodiscard]] std::uint64_t key_count();

private:
  /// A large value that is at hand as a blob.
  struct large_value {
    std::string_view bytes;
    storage::large_value value;
  };

  [[nodiscard]] bool is_here(shard_id shard) const;

  storage::engine* engine_;
  const cluster_view* cluster_;
  storage::transaction* current_ = nullptr;
  durability level_ = durability::unspecified;
  std::vector<large_value> prepared_, met_;
  lsn_t packed_version_ = 0; ///< of the hash that packed_ has
  storage::blob_ref packed_;
  storage::op_reply reply_;
  bool wrong_type_ = false;
  std::vector<durable_target> waits_;
};

} // namespace warp::cluster
