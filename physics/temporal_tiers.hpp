#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace warp::physics {

/// Temporal tier: where a value lives by age and use, the fastest first. `packed` is memory with
/// the value compressed (a mix of memory and computing).
enum class temporal_tier : std::uint8_t { memory, device, packed, ssd, disk };
inline constexpr std::size_t temporal_tiers = 5;

[[nodiscard]] constexpr std::size_t index_of(temporal_tier t) noexcept {
  return static_cast<std::size_t>(t);
}

/// What a tier costs. Both in microseconds, so that they add up: a byte-second is worth the
/// latency that one is ready to pay for getting rid of it.
struct tier_cost {
  double read_us = 0;             ///< a read, >= 0
  double read_us_per_kib = 0;     ///< and for each KiB of the value, >= 0
  double price_us_per_byte_s = 0; ///< a byte kept for a second, >= 0
  bool packs = false;             ///< keeps values compressed
  bool present = true;            ///< there is such a tier
};
using tier_costs = std::array<tier_cost, temporal_tiers>;

/// A value, or a group of values that live together.
struct tiered_value {
  double bytes = 0;        ///< >= 0
  double packed_share = 1; ///< of the bytes that are left once compressed, in (0, 1]
};

/// What it costs to keep a value in a tier for a while and read it so many times there:
///     reads x (read_us + KiB x read_us_per_kib) + price x bytes kept x seconds
/// Microseconds, >= 0. O(1).
[[nodiscard]] double cost_of(const tier_cost& tier, const tiered_value& value, double reads,
                             double seconds) noexcept;

/// The present tier of least cost, the fastest of equals; memory where none is present. O(tiers).
[[nodiscard]] temporal_tier cheapest_tier(const tier_costs& costs, const tiered_value& value,
                                          double reads, double seconds) noexcept;

/// The use of a value, as the rule below and the learner (placement_learner.hpp) see it. A value;
/// times in seconds since any fixed moment, never back.
struct tier_history {
  float last_s = -1;            ///< of the last read; -1: never
  float interval_s = 0;         ///< mean time between reads, the latest counting a quarter
  float spread_s = 0;           ///< mean distance of an interval from that mean, in the same way
  float reads_before = 0;       ///< in the periods before, each counting half of the one after it
  std::uint32_t reads = 0;      ///< in this period
  std::uint32_t last_reads = 0; ///< in the one before

  void read(double now_s) noexcept;
  /// A period is over. O(1).
  void turn() noexcept;
};

/// Temporal tiers by rule: the cheapest tier if the value goes on being read as it was, once in its
/// mean interval or, when it has been left alone for longer than that, once in the time since. What
/// was never read goes to the slowest tier but one. The rule that a learner must beat. O(tiers).
[[nodiscard]] temporal_tier tier_by_age(const tier_costs& costs, const tiered_value& value,
                                        const tier_history& history, double now_s) noexcept;

} // namespace warp::physics
