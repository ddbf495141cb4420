#pragma once

#include "tests/bench/random.hpp"

#include <cstdint>

namespace warp::bench {

/// Ranks 0 .. n-1, rank r with probability proportional to 1 / (r + 1)^theta, for any theta >= 0:
/// by rejection-inversion (Hoermann and Derflinger, "Rejection-inversion to generate variates from
/// monotone discrete distributions", 1996). Exact, without tables; about 100 ns a rank, so a
/// measured loop takes its ranks from an array made before.
class zipf {
public:
  zipf(std::uint64_t n, double theta);
  std::uint64_t operator()(fast_random& random) const noexcept;

private:
  [[nodiscard]] double integral(double x) const noexcept;
  [[nodiscard]] double inverse(double y) const noexcept;
  [[nodiscard]] double weight(double x) const noexcept;

  double n_, theta_, first_, last_, shortcut_;
};

/// A permutation of 0 .. n-1 that puts neighbours far apart, so that the popular ranks are not
/// neighbours in the key space: multiplication by a number without a common divisor. n in [1,
/// 2^32].
class scatter {
public:
  explicit scatter(std::uint64_t n);
  std::uint64_t operator()(std::uint64_t rank) const noexcept { return rank * factor_ % n_; }

private:
  std::uint64_t n_, factor_;
};

} // namespace warp::bench
