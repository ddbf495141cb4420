#pragma once

#include <cstddef>
#include <cstdint>

namespace warp {

/// Shortest and longest key, bytes, both included.
inline constexpr std::size_t key_size_min = 1;
inline constexpr std::size_t key_size_max = 64 * 1024;

/// Longest value, bytes, included: the default, and the most it can be configured to.
inline constexpr std::size_t value_size_default_max = 64u << 20;
inline constexpr std::size_t value_size_hard_max = 512u << 20;

/// Hash slots, as in Redis Cluster: slot = crc16(tag) mod 16,384.
inline constexpr std::uint32_t slot_count = 16'384;

/// Shards of a universe, a power of two, fixed when it is created.
inline constexpr std::uint32_t shard_count_default = 64;
inline constexpr std::uint32_t shard_count_max = slot_count;

/// Operations in one atomic batch or one batch call, at most.
inline constexpr std::size_t batch_operations_max = 65'536;

} // namespace warp
