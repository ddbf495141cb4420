#pragma once

#include "tests/bench/physics/trace.hpp"

#include <cstddef>

namespace warp::bench::physics {

/// How far tiers that are chosen for a whole window can get on a trace, however they are chosen:
/// shares, in [0, 1], of the reads of values whose tier costs at most 10 % above the least.
struct tier_bounds {
  double per_value =
      0; ///< each value's best tier, one for all windows, chosen with the future known
  /// The best tier of each kind of history and size, chosen by what really followed in one half of
  /// the values and judged by the other half: what the past of a value says about its future.
  double by_history = 0;
};

/// Of the first `length` accesses. O(length + windows x keys).
[[nodiscard]] tier_bounds bounds_of_tiers(const trace& t, std::size_t length);

} // namespace warp::bench::physics
