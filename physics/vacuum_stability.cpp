#include "physics/vacuum_stability.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

namespace warp::physics {

vacuum_stability assess(std::span<const service_goal> goals) noexcept {
  double all = 0, violated = 0, worst_pain = -1;
  vacuum_stability out;
  for (const auto& goal : goals) {
    assert(goal.weight >= 0);
    all += goal.weight;
    if (goal.weight <= 0 || goal.measured <= goal.limit) continue;
    violated += goal.weight;
    const double excess = goal.measured / goal.limit;
    const double pain = std::isfinite(excess) && goal.limit > 0
                            ? goal.weight * excess
                            : std::numeric_limits<double>::infinity();
    if (pain > worst_pain) {
      worst_pain = pain;
      out.worst = goal.name;
    }
  }
  if (all > 0) out.score = std::clamp(1 - violated / all, 0.0, 1.0);
  return out;
}

} // namespace warp::physics
