#include "physics/mass.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <cmath>
#include <numbers>

namespace warp::physics {

double decay_factor(double elapsed_s, double half_life_s) noexcept {
  assert(half_life_s > 0);
  return elapsed_s <= 0 ? 1 : std::exp2(-elapsed_s / half_life_s);
}

void decayed_count::add(double now_s, double amount) noexcept {
  assert(amount >= 0);
  count_ = at(now_s) + amount;
  at_s_ = std::max(at_s_, now_s);
}

double decayed_count::at(double now_s) const noexcept {
  return count_ * decay_factor(now_s - at_s_, half_life_s_);
}

double decayed_count::rate(double now_s) const noexcept {
  return at(now_s) * std::numbers::ln2 / half_life_s_;
}

double priority_weight(priority of) noexcept {
  constexpr std::array weights{0.1, 0.5, 1.0, 3.0, 5.0};
  return weights[static_cast<std::size_t>(of)];
}

double mass(double accesses_per_s, double size_bytes, priority of) noexcept {
  assert(accesses_per_s >= 0 && size_bytes >= 0);
  return accesses_per_s * size_bytes / 1024 * priority_weight(of);
}

} // namespace warp::physics
