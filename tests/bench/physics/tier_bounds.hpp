#pragma once

#include "tests/bench/physics/trace.hpp"

#include <cstddef>

namespace warp::bench::physics {

/// How far decisions about tiers can get on a trace, however they are taken: shares, in [0, 1], of
/// the reads of values whose tiers cost at most 10 % above the least of a window.
struct tier_bounds {
  /// Each value's best tier, one for all windows, chosen with the future known.
  double per_value = 0;
  /// The best plan for each kind of history and size: a tier for the whole window, or another one
  /// from some read of the window on, by when that read came. Chosen by what really followed in one
  /// half of the values and judged by the other half: what the past of a value, and of the window,
  /// says about the rest of it. Kinds are as coarse as makes this highest.
  double by_history = 0;
};

/// Of the first `length` accesses. O(length + windows x keys).
[[nodiscard]] tier_bounds bounds_of_tiers(const trace& t, std::size_t length);

} // namespace warp::bench::physics
