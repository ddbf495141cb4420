#pragma once

#include "messages/ids.hpp"
#include "messages/limits.hpp"
#include "storage/crc16_by_products.hpp"
#include "storage/small_bytes.hpp"

#include <bit>
#include <cstdint>
#include <string_view>

namespace warp::storage {

/// CRC-16/XMODEM (polynomial 0x1021, start 0, not reflected): the checksum that Redis Cluster takes
/// slots from. By tables, on any machine.
[[nodiscard]] std::uint16_t crc16_by_tables(std::string_view bytes) noexcept;

/// The fastest way this machine has.
[[nodiscard]] inline std::uint16_t crc16(std::string_view bytes) noexcept {
#if defined(__PCLMUL__)
  if (bytes.size() >= 8) [[likely]]
    return crc16_by_products(bytes.data(), bytes.size());
#endif
  return crc16_by_tables(bytes);
}

/// The part of the key that decides its slot, by Redis Cluster's rule: what stands between the
/// first '{' and the first '}' after it, if that is not empty; else the whole key. A view into
/// `key`.
[[nodiscard]] std::string_view hash_tag(std::string_view key) noexcept;

/// Hash slot of a key: crc16(hash_tag(key)) mod 16,384, as any Redis Cluster client computes it.
[[nodiscard]] inline slot_id slot_of(std::string_view key) noexcept {
  const bool tagged = contains_byte(key.data(), key.size(), '{');
  return slot_id{crc16(tagged ? hash_tag(key) : key) % slot_count};
}

/// The shard that holds a slot: shards are equal, contiguous ranges of slots. `shard_count` is a
/// power of two in [1, 16,384].
[[nodiscard]] constexpr shard_id shard_of(slot_id slot, std::uint32_t shard_count) noexcept {
  return shard_id{slot.value >> (std::countr_zero(slot_count) - std::countr_zero(shard_count))};
}

/// The shard that holds a key.
[[nodiscard]] inline shard_id shard_of(std::string_view key, std::uint32_t shard_count) noexcept {
  return shard_of(slot_of(key), shard_count);
}

} // namespace warp::storage
