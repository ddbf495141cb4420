#pragma once

#include "storage/record.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace warp::storage {

/// Counters of one table; bytes.
struct table_stats {
  std::uint64_t keys = 0;
  std::uint64_t key_bytes = 0;
  std::uint64_t value_bytes = 0;   ///< blobs included
  std::uint64_t record_bytes = 0;  ///< allocated for records: headers, rounding and blobs included
  std::uint64_t index_bytes = 0;   ///< directory and segments
  std::uint64_t expiring_keys = 0; ///< records with an expiry
};

/// The hash table of one shard: extendible hashing over small segments of cache-line buckets with fingerprints. It grows
/// one segment at a time. Everything but hash() and the two prefetch functions needs the shard's lock.
class table {
public:
  table();
  ~table();
  table(const table&) = delete;
  table& operator=(const table&) = delete;

  /// The table's own hash of a key (XXH3, 64 bits). Position in hash order, home bucket and fingerprint derive from it.
  static std::uint64_t hash(std::string_view key) noexcept;

  /// First pass of a batch, without the lock, from any thread: brings the home bucket's cache line.
  void prefetch_bucket(std::uint64_t hash) const noexcept;
  /// Second pass, likewise: brings the record whose fingerprint matches, if any. Never dereferences a record.
  void prefetch_record(std::uint64_t hash) const noexcept;

  /// The record of the key, or null. Valid until the next call that changes the table.
  record* find(std::uint64_t hash, std::string_view key) const noexcept;

  /// Inserts or replaces value and meta as a whole; in place where the record's allocation fits. `existing` is what find()
  /// just returned for this key (null: absent). Throws std::bad_alloc and then has changed nothing.
  record* put(std::uint64_t hash, std::string_view key, record* existing, const new_value& value, const record_meta& meta);

  /// Replaces the meta only. The record may move when it gains or loses an expiry.
  record* set_meta(std::uint64_t hash, record* existing, const record_meta& meta);

  /// Removes what find() just returned for this key.
  void erase(std::uint64_t hash, record* existing) noexcept;

  /// Removes everything; prefetches by other threads stay safe.
  void clear() noexcept;

  /// Walks the table in hash order: calls visit(const record&) for the records of the home bucket at position `cursor` and
  /// returns the cursor of the next one; 0 when the walk is over (0 is also where it starts). Every record that is present
  /// for the whole walk is visited at least once, whatever is inserted, erased, displaced or split between the calls.
  template <class Visitor> std::uint64_t walk(std::uint64_t cursor, Visitor&& visit) const;

  [[nodiscard]] const table_stats& stats() const noexcept;
};

} // namespace warp::storage
