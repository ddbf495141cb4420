#pragma once

#include <compare>
#include <cstdint>
#include <functional>

namespace warp {

/// A number with a meaning: two different ids never convert into each other by accident.
/// Tag: an empty type that names the meaning. Rep: the unsigned integer that carries it.
template <class Tag, class Rep>
struct strong_id {
  using rep = Rep;
  Rep value = 0;

  constexpr strong_id() = default;
  constexpr explicit strong_id(Rep v) : value(v) {}
  friend constexpr auto operator<=>(strong_id, strong_id) = default;
};

/// Partition of the key space; 0 up to shard_count - 1.
using shard_id = strong_id<struct shard_id_tag, std::uint32_t>;
/// Hash slot of a key; 0 up to 16,383.
using slot_id = strong_id<struct slot_id_tag, std::uint32_t>;

/// Position in a shard's log and version of the record it wrote. Counted per shard, from 1; 0 is
/// "none". Never repeats, not even for writes that a crash took back. Fits 48 bits.
using lsn_t = std::uint64_t;
inline constexpr lsn_t lsn_max = (lsn_t{1} << 48) - 1;

/// Term of a shard's log; 0 on one node. A frame with a higher epoch replaces those at its LSN and
/// beyond.
using epoch_t = std::uint64_t;

/// Names one request of one client, so that a retry has one effect. `client` 0 means "no request
/// id". A call with n operations uses the numbers number .. number + n - 1; `oldest_unanswered` is
/// the smallest number whose answer the client still waits for: results below it are forgotten.
struct request_id {
  std::uint64_t client = 0;
  std::uint64_t number = 0;
  std::uint64_t oldest_unanswered = 0;

  constexpr explicit operator bool() const { return client != 0; }
  friend constexpr bool operator==(const request_id&, const request_id&) = default;
};

} // namespace warp

template <class Tag, class Rep>
struct std::hash<warp::strong_id<Tag, Rep>> {
  std::size_t operator()(warp::strong_id<Tag, Rep> id) const noexcept {
    return std::hash<Rep>{}(id.value);
  }
};
