#include "physics/prefetch_governor.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace warp::physics {

prefetch_governor::grade prefetch_governor::of(double strength) noexcept {
  if (!(strength > 0)) return grades - 1;
  return static_cast<grade>(std::clamp(-2 * std::log2(strength), 0.0, grades - 1.0));
}

bool prefetch_governor::allows(grade g) noexcept {
  assert(g < grades);
  auto& t = tallies_[g];
  const double tried = t.used + t.wasted;
  const double deviation = std::sqrt(waste_max_ * (1 - waste_max_) * tried);
  if (t.wasted <= waste_max_ * tried + 2 * deviation) return true;
  return ++t.refused % explore_every_ == 0;
}

void prefetch_governor::outcome(grade g, bool used) noexcept {
  assert(g < grades);
  auto& t = tallies_[g];
  (used ? t.used : t.wasted) += 1;
  if (t.used + t.wasted < 512) return;
  t.used /= 2;
  t.wasted /= 2;
}

double prefetch_governor::waste(grade g) const noexcept {
  const auto& t = tallies_[g];
  return t.used + t.wasted > 0 ? t.wasted / (t.used + t.wasted) : 0;
}

} // namespace warp::physics
