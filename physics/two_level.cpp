#include "physics/two_level.hpp"

#include <cassert>
#include <cmath>

namespace warp::physics {

two_level_state evolved(float amplitude, float phase, float energy, float dt_s) noexcept {
  assert(amplitude >= 0 && amplitude <= 1);
  const double a = amplitude, turned = static_cast<double>(energy) * static_cast<double>(dt_s);
  // One sum of both angles would lose the smaller one beside a huge one.
  const double s = std::sin(turned), c = std::cos(turned);
  const double s0 = std::sin(static_cast<double>(phase)), c0 = std::cos(static_cast<double>(phase));
  return {a * (c * c0 - s * s0), -a * (s * c0 + c * s0), std::sqrt((1 - a) * (1 + a))};
}

} // namespace warp::physics
