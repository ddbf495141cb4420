#include "actors/physics_governor.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace warp::actors {

namespace {

constexpr unsigned patience = 3, calm_needed_min = 60, calm_needed_max = 3'600;
constexpr std::uint64_t relapse_within = 600; ///< s
/// Fewer than this are no overload: a thread that begins has a ring of its own to fill first.
constexpr std::uint64_t dropped_min = 1'000;

physics_tier next(physics_tier tier, int by) noexcept {
  return static_cast<physics_tier>(static_cast<int>(tier) + by);
}

} // namespace

bool physics_governor::see(const second& s) {
  ++seconds_;
  const bool drops = s.dropped >= dropped_min && s.dropped * 10 > s.samples;
  const bool busy = s.cpu_share > cpu_share_max_;
  if (!drops && !busy && !s.log_presses) {
    overloaded_ = 0;
    if (tier_ == wanted_ || ++calm_ < calm_needed_) return false;
    calm_ = 0;
    tier_ = next(tier_, 1);
    return true;
  }
  calm_ = 0;
  if (++overloaded_ < patience || tier_ == physics_tier::t0) return false;
  overloaded_ = 0;
  const bool relapse = steps_down_ > 0 && seconds_ - stepped_at_ < relapse_within + calm_needed_;
  calm_needed_ = relapse ? std::min(calm_needed_ * 2, calm_needed_max) : calm_needed_min;
  stepped_at_ = seconds_;
  ++steps_down_;
  tier_ = next(tier_, -1);
  if (drops)
    cause_ =
        fmt::format("{} of {} samples a second were dropped", s.dropped, s.samples + s.dropped);
  else if (busy)
    cause_ = fmt::format("learning took {:.1f} % of the CPUs", 100 * s.cpu_share);
  else
    cause_ = "the log pressed: checkpoints could not follow the writes";
  return true;
}

void physics_governor::order(physics_tier wanted) noexcept {
  wanted_ = tier_ = wanted;
  overloaded_ = calm_ = 0;
  calm_needed_ = calm_needed_min;
}

std::string physics_governor::cause() const {
  return tier_ == wanted_ ? std::string{} : cause_;
}

} // namespace warp::actors
