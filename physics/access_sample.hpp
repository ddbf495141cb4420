#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace warp::physics {

enum class access_kind : std::uint8_t { read, write, remove };

/// One access that was sampled, of a fixed size: two cache lines. The key's bytes lie within, as
/// who learns from it may live longer than the key; a longer key has none (key_length 0), and is
/// then a load on its shard and nothing more. A value.
struct access_sample {
  static constexpr std::size_t key_length_max = 96;

  std::uint64_t key_hash = 0; ///< the table's
  std::uint64_t time_ms = 0;  ///< since any fixed moment that outlives a restart
  std::uint32_t window = 0;   ///< the sampled request window it belongs to; 0: none
  std::uint32_t bytes = 0;    ///< of the value; 0 where there is none
  std::uint16_t shard = 0;
  access_kind kind = access_kind::read;
  std::uint8_t key_length = 0;
  bool together = false; ///< its window is one request: the order within means nothing
  bool watched = false;  ///< its key is one of those whose every access is sampled
  std::array<char, key_length_max> key_bytes;

  [[nodiscard]] std::string_view key() const noexcept { return {key_bytes.data(), key_length}; }
};
static_assert(sizeof(access_sample) == 128);

} // namespace warp::physics
