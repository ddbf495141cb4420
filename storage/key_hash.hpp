#pragma once

#include <cstdint>
#include <string_view>

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace warp::storage {

/// The table's own hash of a key, inline (table::hash() is the same behind a call): XXH3, 64 bits.
inline std::uint64_t key_hash(std::string_view key) noexcept {
  return XXH3_64bits(key.data(), key.size());
}

} // namespace warp::storage
