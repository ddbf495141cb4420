#pragma once

#include "messages/ids.hpp"
#include "messages/watch.hpp"
#include "storage/blob.hpp"
#include "storage/log_record.hpp"
#include "storage/stream_gate.hpp"
#include "storage/watch_filter.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace warp::storage {

/// What a change in the log is told as.
[[nodiscard]] watch_kind kind_of(log_op op) noexcept;

/// Changes that a tap has caught, in log order.
struct tapped_changes {
  struct change {
    watch_kind kind = watch_kind::put;
    std::uint32_t key_size = 0, value_size = 0; ///< in `bytes`, one behind the other
    std::size_t offset = 0;
    lsn_t version = 0;
    std::uint64_t expires_at_ms = 0, hash = 0;
    blob_ref large;                      ///< put: in place of a value in `bytes`
    value_type type = value_type::bytes; ///< put
  };

  std::vector<change> changes;
  std::string bytes;
  std::size_t held_bytes = 0; ///< of keys and values, large ones included
  /// Something was not caught: the changes above are all up to `complete_to` only.
  bool overflowed = false;
  lsn_t complete_to = 0;

  void clear() noexcept;
};

/// Where watches draw from a shard: catches the changes that somebody may want, in a bounded
/// buffer, as they are made. Exists only while somebody watches the shard. All of it under the
/// shard's lock.
///
/// What it costs a writer: nothing but a branch without a tap; a probe of the sieves when its key
/// is not watched; else a copy of key and value, and a wake-up when the other side sleeps. It never
/// waits: what does not fit is dropped, and told by `overflowed`.
class watch_tap {
public:
  /// `index` is marked in `gate` (borrowed) when the first change is there to be taken.
  watch_tap(stream_gate& gate, std::uint32_t index, std::size_t bytes_max)
      : gate_(gate), index_(index), bytes_max_(bytes_max) {}

  /// A change that was made. `large`: its value as a blob, in place of r.value; may be null.
  void note(std::uint64_t hash, const log_record& r, blob* large) noexcept {
    if (paused) return;
    if (keys.may_have(hash) || (prefixes && prefixes->may_match(r.key)) || r.op == log_op::clear)
      catch_change(hash, r, large);
  }
  /// Changes above `complete_to` were made that no note() told.
  void lose(lsn_t complete_to) noexcept;

  /// Exchanges what was caught for `into`, which comes empty. The gate's mark was taken before.
  void take(tapped_changes& into) noexcept { std::swap(into, caught_); }

  /// What is wanted.
  hash_sieve keys;
  std::shared_ptr<const prefix_sieve> prefixes; ///< null: none
  /// All who watch are behind, and read the log: nothing is wanted for now.
  bool paused = false;

private:
  void catch_change(std::uint64_t hash, const log_record& r, blob* large) noexcept;

  stream_gate& gate_;
  const std::uint32_t index_;
  const std::size_t bytes_max_;
  tapped_changes caught_;
};

} // namespace warp::storage
