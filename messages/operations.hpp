#pragma once

#include "messages/ids.hpp"
#include "messages/status.hpp"

#include <cstdint>
#include <string_view>

namespace warp {

/// What an acknowledged write is worth. The numbers travel on the wire and stand in files.
enum class durability : std::uint8_t {
  unspecified = 0, ///< the universe's default (async on one node, durable in a cluster)
  memory = 1,      ///< applied, not logged: gone after a crash
  async = 2,       ///< logged, on disk within 100 ms
  sync = 3,        ///< acknowledged after fdatasync (group commit)
  replicated = 4,  ///< appended by every in-sync replica (a cluster only)
  durable = 5,     ///< synced by every in-sync replica (a cluster only)
};

/// How much a record minds being evicted or demoted. critical is never demoted.
enum class priority : std::uint8_t { normal = 0, critical = 1, high = 2, low = 3, background = 4 };

/// The access pattern the writer expects; a hint for tiers and placement.
enum class access_pattern : std::uint8_t { balanced = 0, hot = 1, warm = 2, cold = 3 };

/// What a value is. Kept with the record; the numbers stand in files.
enum class value_type : std::uint8_t {
  bytes = 0,
  hash = 1, ///< fields with a value each; as bytes: packed pairs, see packed_fields.hpp
};

enum class op_kind : std::uint8_t {
  get = 1, ///< value, version, expiry
  exists =
      2,     ///< ok or not_found, with version and expiry but without the value; also answers "ttl"
  put = 3,   ///< writes `value`; see `condition`
  erase = 4, ///< removes the key; not_found if absent; `condition` may be if_version
  increment = 5, ///< adds `delta` to a decimal 64-bit integer (an absent key counts as 0); the
                 ///< reply's `number` is the result
  expire = 6,    ///< sets expires_at_ms (0: never) and leaves the value; not_found if absent

  // Of hashes; wrong_type for anything else. `value` is packed pairs or names, see
  // packed_fields.hpp. A change of fields leaves the expiry.
  hash_set = 7,       ///< pairs; an absent key becomes a hash with expires_at_ms; the reply's
                      ///< `number` is how many fields are new. See if_field_absent
  hash_erase = 8,     ///< names; not_found if absent; `number`: how many were there. With none
                      ///< nothing is written; with the last field the key goes
  hash_increment = 9, ///< one name; adds `delta` to that field's number (an absent one is 0);
                      ///< `number`: the result
  hash_get = 10,      ///< names; the reply's value is an answer for each, in their order
  hash_all = 11,      ///< all fields: see hash_view in storage
  hash_length = 12,   ///< `number`: how many fields
};

/// When a put or an erase is done at all.
enum class write_condition : std::uint8_t {
  always = 0,
  if_absent = 1,  ///< else already_exists
  if_present = 2, ///< else not_found
  if_version = 3, ///< the record's version is `expected_version` (0: absent), else version_mismatch
};

/// One operation on one key. Key and value are borrowed: they must live until execute() has
/// returned.
struct operation {
  op_kind kind = op_kind::get;
  write_condition condition = write_condition::always;
  durability level =
      durability::unspecified; ///< of a read: answer only what is durable at that level
  priority rank = priority::normal;
  access_pattern pattern = access_pattern::balanced;
  bool keep_expiry = false;            ///< put: keep the expiry that the record has
  bool if_field_absent = false;        ///< hash_set: only if none of the fields is there, else
                                       ///< already_exists
  value_type type = value_type::bytes; ///< put: what `value` is
  std::string_view key;                ///< 1 B to 64 KiB, any bytes
  std::string_view value;              ///< put: 0 B to the configured limit; packed fields
  std::int64_t delta = 1;              ///< increment, hash_increment
  lsn_t expected_version = 0;          ///< if_version
  std::uint64_t expires_at_ms = 0;     ///< put, expire: absolute, ms since 1970 (UTC); 0: never
  request_id request; ///< writes: names the request for exactly-once retries; may be empty
};

/// Seen from the shard: does it change something?
constexpr bool is_write(op_kind kind) noexcept {
  return kind >= op_kind::put && kind <= op_kind::hash_increment;
}
/// Is it one of hashes?
constexpr bool is_of_hash(op_kind kind) noexcept {
  return kind >= op_kind::hash_set;
}

} // namespace warp
