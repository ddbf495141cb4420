#pragma once

#include <cstdint>

namespace warp::physics {

/// How a forwarding entry gains and loses strength; a period is the unit of time.
struct relocation_options {
  double period_s = 22;     ///< > 0
  double growth = 1.1;      ///< factor for each period in which it was used, > 1
  double decay = 0.95;      ///< factor for each period in which it was not, in (0, 1)
  double strength_max = 10; ///< where growth ends, >= 1
  double close_below = 0.1; ///< the group goes home, the entry closes, in (0, 1)
};

/// Relocation, the first kind of wormhole: how firmly a group lives away from its home shard.
/// Strength in [close_below, strength_max] while open; begins at 1. One that is never used closes
/// after 45 idle periods (16.5 minutes), one at its strongest after 90. A value of 16 bytes; the
/// forwarding itself and its durability are the caller's.
///     used in a period: strength x growth, at most strength_max;  idle: strength x decay
class relocation {
public:
  /// Opens at a time, in seconds since any fixed moment.
  explicit relocation(double now_s) noexcept : strength_(1), period_began_s_(now_s) {}

  /// The entry was followed. O(1).
  void use(double now_s, const relocation_options& options = {}) noexcept;
  /// Counting the periods that are over; the running one changes nothing yet. O(1).
  [[nodiscard]] double strength(double now_s,
                                const relocation_options& options = {}) const noexcept;
  /// Has it become so weak that the group should go home? For good: use() doesn't open it again.
  [[nodiscard]] bool closed(double now_s, const relocation_options& options = {}) const noexcept;

private:
  void advance(double now_s, const relocation_options& options) noexcept;

  double strength_;
  double period_began_s_;
  bool used_ = false; ///< in the period that began then
};

} // namespace warp::physics
