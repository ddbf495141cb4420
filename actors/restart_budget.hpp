#pragma once

#include "actors/tree.hpp"

#include <chrono>
#include <deque>

namespace warp::actors {

/// Counts restarts in a sliding window. A plain value; the caller brings the time.
class restart_budget {
public:
  using time_point = std::chrono::steady_clock::time_point;

  explicit restart_budget(restart_intensity limit) : limit_(limit) {}

  /// Counts one more restart at `now` (never going back). False: it is one too many, the supervisor
  /// must give up.
  [[nodiscard]] bool spend(time_point now) {
    spent_.push_back(now);
    while (now - spent_.front() > std::chrono::seconds{limit_.window_s}) spent_.pop_front();
    return spent_.size() <= limit_.restarts_max;
  }

private:
  restart_intensity limit_;
  std::deque<time_point> spent_;
};

} // namespace warp::actors
