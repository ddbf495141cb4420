#pragma once

#include <cstddef>
#include <span>
#include <string_view>

namespace warp::physics {

/// One goal of the service: a measured figure that should stay at or below a limit.
struct service_goal {
  std::string_view name; ///< "replication lag", "disk"; outlives the assessment
  double measured = 0;   ///< in any unit, the limit's
  double limit = 0;
  double weight = 1; ///< >= 0
};

/// Health of the universe.
struct vacuum_stability {
  double score = 1;       ///< in [0, 1]; 1: all goals are kept
  std::string_view worst; ///< the goal that hurts most, empty when none is violated
};

/// Vacuum stability: health score, unitless, in [0, 1]: 1 minus the weighted share of violated
/// service goals (latency, replication lag, memory, disk, error rate).
///     1 - sum(weight of goals with measured > limit) / sum(weight)
/// A figure that is not a number counts as violated: a broken gauge is no good news. The worst goal
/// is the violated one with the largest weight x measured / limit, the first one of equals. Goals
/// of weight 0 are left out; 1 without goals. O(n).
[[nodiscard]] vacuum_stability assess(std::span<const service_goal> goals) noexcept;

} // namespace warp::physics
