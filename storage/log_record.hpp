#pragma once

#include "messages/ids.hpp"
#include "messages/limits.hpp"
#include "messages/status.hpp"
#include "storage/blob.hpp"
#include "storage/record.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace warp::storage {

/// What a log record does. The numbers stand in files.
enum class log_op : std::uint8_t {
  nothing = 0, ///< no change: takes an LSN, as the beginning of an epoch; has no key
  put = 1,     ///< the key has this value and meta now
  erase = 2,   ///< the key is gone
  meta = 3,    ///< the key's meta is this now, its value untouched
  parts = 4,   ///< no change: a transaction over several shards begins here; see transaction_part
  fields_set = 5,    ///< these fields of a hash, which is there, are this now
  fields_erased = 6, ///< these fields of a hash are gone; others are left
  clear = 7,         ///< every key of the shard is gone; has none itself
  together = 8,      ///< several changes at once, its value their bodies one behind the other: a
                     ///< transaction of a replicated shard; stands in files as nothing, marked
};

/// One after-image. Key and value are borrowed: until append() has returned, or as long as the
/// bytes it was decoded from.
struct log_record {
  log_op op = log_op::put;
  lsn_t lsn = 0;
  record_meta
      meta; ///< of put and meta; `version` is not stored: a decoded record has its LSN there
  request_id request; ///< may be empty
  /// Of a request, where the record does not tell it: the number in the reply.
  std::optional<std::int64_t> number;
  std::string_view key;
  std::string_view value; ///< put; packed pairs (fields_set) or names (fields_erased); together
  blob_ref large; ///< put: the value in place of `value`; the log shares it and copies nothing
  /// `large` (when writing) or `value` (when decoded) is a zstd frame of the value: see
  /// compress_value(), expand().
  bool compressed = false;
  bool joint = false; ///< one of the changes of a together record, which all have its LSN

  [[nodiscard]] std::string_view payload() const noexcept { return large ? large.view() : value; }
};

/// The share of one shard in a transaction: its records first .. last, both included.
struct transaction_part {
  shard_id shard;
  lsn_t first = 0, last = 0;
  friend bool operator==(const transaction_part&, const transaction_part&) = default;
};

/// Bytes of a record before its key: fixed part, and the most that optional fields add.
inline constexpr std::size_t record_head_bytes = 8;
inline constexpr std::size_t record_head_bytes_max = record_head_bytes + 6 + 8 + 24 + 8;
inline constexpr std::size_t part_bytes = 20;

/// Writes all of a record that stands before its key to `to` (room for record_head_bytes_max);
/// returns its length. `expected`: the LSN a reader would assume, one above the record before in
/// the frame. Key and payload() follow.
[[nodiscard]] std::size_t encode_record_head(const log_record& record, lsn_t expected,
                                             char* to) noexcept;

/// Bytes of a parts record with n parts, and the record itself.
[[nodiscard]] constexpr std::size_t parts_record_bytes(std::size_t n) noexcept {
  return record_head_bytes + n * part_bytes;
}
/// The first record_head_bytes of what is_plain_put(), without an expiry: key and value follow.
void encode_plain_put_head(const record_meta& meta, std::size_t key_bytes, std::size_t value_bytes,
                           char* to) noexcept;
void encode_parts(std::span<const transaction_part> parts, char* to) noexcept;

/// Takes the record at the front of `bytes` and removes it from there. `lsn`: the LSN of the record
/// before; becomes that of this one (a parts record leaves it alone). Views point into `bytes`.
/// False: malformed, packed fields included (of a compressed hash expand() says it); nothing is
/// read beyond the end.
[[nodiscard]] bool decode_record(std::string_view& bytes, lsn_t& lsn, log_record& record) noexcept;
/// Is it one put of a value that is no hash, without any optional field, from the first byte to the
/// last? decode_record() takes such; most records are.
[[nodiscard]] bool is_plain_put(std::string_view bytes) noexcept;
/// Takes the change at the front of a together record's value. False: malformed, or no change.
[[nodiscard]] bool decode_change(std::string_view& bodies, lsn_t lsn, log_record& change) noexcept;
/// Calls `use` with the changes that a decoded record makes, one after the other: with those of a
/// together record, which are not expanded either, or with the record itself.
template <class Use>
void each_change(log_record& record, Use&& use) {
  if (record.op != log_op::together) return use(record);
  auto left = record.value;
  for (log_record change; !left.empty() && decode_change(left, record.lsn, change);) use(change);
}
/// The list in a parts record; empty when malformed (a list has at least 2 parts).
[[nodiscard]] std::vector<transaction_part> decode_parts(const log_record& record);

/// A zstd frame of the value when that saves at least a tenth of it, else nothing. For large
/// values, before the shard's lock is taken: tens of microseconds and more. Any thread.
[[nodiscard]] blob_ref compress_value(std::string_view value);
/// Replaces a compressed value of a decoded record by the value itself, in `large`. corruption when
/// it is damaged or longer than `value_bytes_max`. Throws std::bad_alloc.
op_status expand(log_record& record, std::size_t value_bytes_max = value_size_hard_max);

} // namespace warp::storage
