#include "physics/relocation.hpp"

#include <algorithm>
#include <cmath>

namespace warp::physics {

void relocation::advance(double now_s, const relocation_options& options) noexcept {
  const double periods = std::floor((now_s - period_began_s_) / options.period_s);
  if (periods < 1) return;
  period_began_s_ += periods * options.period_s;
  // The first of them may have been used, those after it were not.
  if (used_) strength_ = std::min(strength_ * options.growth, options.strength_max);
  strength_ *= std::pow(options.decay, used_ ? periods - 1 : periods);
  used_ = false;
}

void relocation::use(double now_s, const relocation_options& options) noexcept {
  advance(now_s, options);
  if (strength_ >= options.close_below) used_ = true;
}

double relocation::strength(double now_s, const relocation_options& options) const noexcept {
  auto then = *this;
  then.advance(now_s, options);
  return then.strength_;
}

bool relocation::closed(double now_s, const relocation_options& options) const noexcept {
  return strength(now_s, options) < options.close_below;
}

} // namespace warp::physics
