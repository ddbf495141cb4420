#include "tests/bench/zipf.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace warp::bench {

// Ranks count from 1 here. The weight of rank k is w(k) = k^-theta; a point drawn uniformly below
// the continuous curve w is rounded to the nearest rank and kept if it lies in the strip of area
// w(k) at the right end of the rank's interval [k - 1/2, k + 1/2]: the curve is convex, so the
// interval's area is never smaller.

zipf::zipf(std::uint64_t n, double theta) : n_(static_cast<double>(n)), theta_(theta) {
  first_ = integral(1.5) - 1; // rank 1 has an interval as large as its weight
  last_ = integral(n_ + 0.5);
  shortcut_ = 2 - inverse(integral(2.5) - weight(2));
}

/// The area below the curve up to x, up to a constant.
double zipf::integral(double x) const noexcept {
  const double log_x = std::log(x), power = (1 - theta_) * log_x;
  return std::abs(power) > 1e-9 ? std::expm1(power) / (1 - theta_) : log_x;
}

double zipf::inverse(double y) const noexcept {
  const double power = (1 - theta_) * y;
  return std::abs(power) > 1e-9 ? std::exp(std::log1p(std::max(power, -1.0)) / (1 - theta_))
                                : std::exp(y);
}

double zipf::weight(double x) const noexcept {
  return std::exp(-theta_ * std::log(x));
}

std::uint64_t zipf::operator()(fast_random& random) const noexcept {
  for (;;) {
    const double y = last_ + random.unit() * (first_ - last_);
    const double x = inverse(y);
    const double rank = std::clamp(std::floor(x + 0.5), 1.0, n_);
    if (rank - x <= shortcut_ || y >= integral(rank + 0.5) - weight(rank))
      return static_cast<std::uint64_t>(rank) - 1;
  }
}

scatter::scatter(std::uint64_t n)
    : n_(n), factor_(static_cast<std::uint64_t>(0.618034 * static_cast<double>(n)) | 1) {
  while (std::gcd(factor_, n_) != 1) factor_ += 2;
}

} // namespace warp::bench
