#pragma once

#include <cstddef>
#include <vector>

namespace warp::physics {

/// Trend: the straight line of least squares through the latest samples of a figure, and where it
/// leads. A value that keeps the last `window` samples.
///     slope = sum((t - mean t)(y - mean y)) / sum((t - mean t)^2)
/// Adding is O(1), asking O(window).
class trend {
public:
  /// What the line says; slope in units of y a second.
  struct line {
    double slope = 0;
    double level = 0; ///< of the line at time 0
    [[nodiscard]] double at(double time_s) const noexcept { return level + slope * time_s; }
  };

  /// `window` >= 1 samples.
  explicit trend(std::size_t window);

  /// A sample at a time in seconds; times may come in any order.
  void add(double time_s, double value);
  [[nodiscard]] std::size_t size() const noexcept { return samples_.size(); }
  /// Slope 0 at the mean of the samples for less than two different times; all 0 without samples.
  [[nodiscard]] line fit() const noexcept;

private:
  struct sample {
    double time_s, value;
  };
  std::size_t window_;
  std::size_t oldest_ = 0; ///< once the window is full
  std::vector<sample> samples_;
};

} // namespace warp::physics
