#include "physics/trend.hpp"

#include <cassert>

namespace warp::physics {

trend::trend(std::size_t window) : window_(window) {
  assert(window > 0);
  samples_.reserve(window);
}

void trend::add(double time_s, double value) {
  if (samples_.size() < window_) {
    samples_.push_back({time_s, value});
  } else {
    samples_[oldest_] = {time_s, value};
    oldest_ = (oldest_ + 1) % window_;
  }
}

trend::line trend::fit() const noexcept {
  if (samples_.empty()) return {};
  const auto count = static_cast<double>(samples_.size());
  double mean_time = 0, mean_value = 0;
  for (const auto& s : samples_) {
    mean_time += s.time_s / count;
    mean_value += s.value / count;
  }
  // Around the means: sums of squares of seconds since 1970 would leave no digits for the line.
  double both = 0, times = 0;
  for (const auto& s : samples_) {
    both += (s.time_s - mean_time) * (s.value - mean_value);
    times += (s.time_s - mean_time) * (s.time_s - mean_time);
  }
  const double slope = times > 0 ? both / times : 0;
  return {slope, mean_value - slope * mean_time};
}

} // namespace warp::physics
