#include "gpu/circuit_breaker.hpp"

namespace warp::gpu {

bool circuit_breaker::allows(double now_s) noexcept {
  if (state_ == state::closed) return true;
  if (state_ == state::half_open || now_s - opened_s_ < rest_s) return false;
  state_ = state::half_open;
  return true;
}

void circuit_breaker::success() noexcept {
  // What began before it opened and ends well now does not close it: the probe does.
  if (state_ == state::open) return;
  state_ = state::closed;
  failures_ = 0;
}

void circuit_breaker::failure(double now_s) noexcept {
  if (state_ == state::open) return;
  if (state_ == state::half_open || ++failures_ >= failures_max) trip(now_s);
}

void circuit_breaker::trip(double now_s) noexcept {
  if (state_ != state::open) ++openings_;
  state_ = state::open;
  opened_s_ = now_s;
  failures_ = 0;
}

std::string_view to_string(circuit_breaker::state state) noexcept {
  switch (state) {
  case circuit_breaker::state::closed:
    return "closed";
  case circuit_breaker::state::open:
    return "open";
  case circuit_breaker::state::half_open:
    return "half open";
  }
  return "unknown";
}

} // namespace warp::gpu
