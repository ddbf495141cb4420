#pragma once

#include "messages/ids.hpp"
#include "messages/operations.hpp"
#include "messages/status.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace warp {

/// What a watch is told. The numbers travel on the wire.
///
/// The contract, for a watch of one key and for a watch of a prefix:
///   1. Every change of a matching key after the start is told as put, erase or expire, the changes
///      of one shard in the order of its log, with the LSN as version. Nothing is missing unless
///      `lost` says so. Changes of different shards may come in any order, those of one transaction
///      included.
///   2. `lost` names a shard whose changes cannot be told one by one (all its keys were removed at
///      once, for one): forget what you know of its keys. Its matching records as they are now
///      follow as puts with `state` set (an absent key that is watched alone: as an erase), ended
///      by `state_end`. A record may come twice.
///   3. `lagged` says that the watch is too slow for the memory it may take. What follows is read
///      from the log, and nothing is missing; where the log cannot tell (a universe in memory only,
///      a log that was released, writes at level memory), `lost` follows.
///   4. `synced` says that all that was written before has been told. It comes once after the
///      start, and once after each `lagged` or `lost`.
///   5. `ended` is the last one: code and message say why.
///
/// An expired record is told as erase when it is removed, seconds after its time, unless a put has
/// replaced it before. A retried write that was done already is no change. A watch that goes on
/// after a crash is not told that writes at level memory are gone.
enum class watch_kind : std::uint8_t {
  put = 1,       ///< key, value, type, version, expiry; of a hash all fields, as packed pairs
  erase = 2,     ///< key, version: erased, or expired
  expire = 3,    ///< key, version: the expiry is this now, the value as it was
  lost = 4,      ///< shard: what follows is its state
  state_end = 5, ///< shard, version: the state was complete at this LSN
  lagged = 6,
  synced = 7,
  ended = 8,      ///< code, message
  fields_set = 9, ///< key, version: `value` is the fields of a hash that are this now, as packed
                  ///< pairs (see packed_fields.hpp); the others and the expiry as they were
  fields_erased = 10, ///< key, version: `value` is the packed names of fields that are gone; names
                      ///< that were not there may be among them
};

/// Views live as long as the call that hands the event over.
struct watch_event {
  watch_kind kind = watch_kind::put;
  bool state = false; ///< put, erase: not a change but how it is now
  shard_id shard;
  lsn_t version = 0;
  std::uint64_t expires_at_ms = 0;     ///< put, expire: ms since 1970; 0: never
  value_type type = value_type::bytes; ///< put
  std::string_view key, value;
  op_code code = op_code::ok;
  std::string_view message;

  /// Does it name a key?
  [[nodiscard]] bool is_change() const noexcept {
    return kind <= watch_kind::expire || kind >= watch_kind::fields_set;
  }
};

/// How far a watch has got: per shard the LSN up to which all was told. A value that can be kept,
/// also over restarts of either side, to go on with later. Made by the watch, moved on with each
/// event.
struct watch_token {
  std::string universe; ///< opaque: names the universe whose LSNs these are
  shard_id first_shard; ///< of positions[0]
  std::vector<lsn_t> positions;
  /// In `positions`: the state of this shard is still to be told.
  static constexpr lsn_t unknown = lsn_max;

  /// Takes note of an event that was dealt with.
  void advance(const watch_event& event) noexcept;

  [[nodiscard]] std::string to_bytes() const;
  /// Nothing for bytes that to_bytes() did not make.
  [[nodiscard]] static std::optional<watch_token> from_bytes(std::string_view bytes);

  friend bool operator==(const watch_token&, const watch_token&) = default;
};

/// Where a watch begins.
enum class watch_start : std::uint8_t {
  now = 0,   ///< with the first change after the call
  state = 1, ///< with the matching records as they are, then their changes
  after = 2, ///< with the first change after `version` or `token`
};

/// When a watch is told of a change.
enum class watch_level : std::uint8_t {
  applied = 0, ///< as soon as readers can see it; a crash may take back what was not durable
  /// When a read at level sync would show it: the log is on disk up to it. Not for a universe in
  /// memory only.
  durable = 1,
};

/// What to watch.
struct watch_options {
  std::string key;     ///< 1 B to 64 KiB; as a prefix 0 B (all keys) to 64 KiB
  bool prefix = false; ///< all keys that begin with `key`
  watch_level level = watch_level::applied;
  watch_start start = watch_start::now;
  /// start = after, one key: a version of this key or its shard, of this universe. Where the change
  /// after it cannot be told for certain, `lost` is.
  lsn_t version = 0;
  /// start = after: in place of `version`. Of another universe, or of a position that a crash took
  /// back: `lost`.
  std::optional<watch_token> token;
};

} // namespace warp
