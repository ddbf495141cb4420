#pragma once

#include <cstdint>

namespace warp::physics {

/// What remains of 1 after `elapsed_s` seconds when half is lost every `half_life_s`:
///     2 ^ (-elapsed / half-life)
/// In (0, 1]; 1 for a time that has not passed (elapsed <= 0). half_life_s > 0. O(1).
[[nodiscard]] double decay_factor(double elapsed_s, double half_life_s) noexcept;

/// Decayed count: events of the past, each worth half after a half-life. Unitless, >= 0. A value;
/// the time comes in as seconds since any fixed moment, and a time that goes backwards counts as
/// none having passed.
///
///     decayed_count reads{300};
///     reads.add(now_s);
///     reads.rate(now_s); // accesses a second
class decayed_count {
public:
  /// half_life_s > 0.
  explicit decayed_count(double half_life_s = 300) noexcept : half_life_s_(half_life_s) {}

  /// Adds `amount` >= 0 at a time. O(1).
  void add(double now_s, double amount = 1) noexcept;
  [[nodiscard]] double at(double now_s) const noexcept;
  /// Events a second: the constant rate that would have led to this count, count x ln 2 /
  /// half-life.
  [[nodiscard]] double rate(double now_s) const noexcept;

private:
  double half_life_s_;
  double count_ = 0;
  double at_s_ = 0;
};

/// How much an owner cares about a group or record; the weight is a factor of its mass.
enum class priority : std::uint8_t { background, low, normal, high, critical };

/// critical 5, high 3, normal 1, low 0.5, background 0.1.
[[nodiscard]] double priority_weight(priority of) noexcept;

/// Mass: how much work a group or shard brings and what it costs to move, accesses a second x KiB
/// x priority weight, >= 0. Heavier things are placed first. Every byte counts (size / 1024, not
/// rounded), so the masses of the parts of a thing add up to the mass of the whole where rate or
/// size is the same for all.
///     mass = rate x size / 1024 x weight
[[nodiscard]] double mass(double accesses_per_s, double size_bytes, priority of) noexcept;

} // namespace warp::physics
