#pragma once

#include <cstdint>

namespace warp::storage {

/// Counters of one table; bytes.
struct table_stats {
  std::uint64_t keys = 0;
  std::uint64_t key_bytes = 0;
  std::uint64_t value_bytes = 0;  ///< blobs included
  std::uint64_t record_bytes = 0; ///< allocated for records: headers, rounding and blobs included
  std::uint64_t free_bytes =
      0; ///< held for records and unused now: room in pages that are not full
  std::uint64_t index_bytes = 0;   ///< directory and segments
  std::uint64_t expiring_keys = 0; ///< records with an expiry
};

} // namespace warp::storage
