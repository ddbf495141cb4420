#pragma once

#include "messages/ids.hpp"
#include "messages/operations.hpp"
#include "storage/blob.hpp"

#include <cstdint>
#include <string_view>

namespace warp::storage {

/// What a record knows beside key and value.
struct record_meta {
  lsn_t version = 0;               ///< LSN of the last write, below 2^48
  std::uint64_t expires_at_ms = 0; ///< absolute, ms since 1970; 0: never
  value_type type = value_type::bytes;
  priority rank = priority::normal;
  access_pattern pattern = access_pattern::balanced;
};

/// The value to store: `bytes` are copied into the record, unless `large` (16 KiB and more) is set and shared instead.
struct new_value {
  std::string_view bytes;
  blob_ref large;

  [[nodiscard]] std::string_view view() const noexcept { return large ? large.view() : bytes; }
};

/// A record in the table: one allocation with a compact header, key and value inline (a blob's pointer in place of the value
/// when it is large). Read and written under the shard's lock only.
class record {
public:
  [[nodiscard]] std::string_view key() const noexcept;
  [[nodiscard]] std::string_view value() const noexcept; ///< blob or inline
  [[nodiscard]] blob* large() const noexcept;            ///< null for an inline value
  [[nodiscard]] lsn_t version() const noexcept;
  [[nodiscard]] std::uint64_t expires_at_ms() const noexcept;
  [[nodiscard]] record_meta meta() const noexcept;
};

} // namespace warp::storage
