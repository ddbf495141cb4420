#pragma once

#include "gpu/kernels.hpp"
#include "gpu/lanes.hpp"

namespace warp::gpu {

/// One pass: the sums do not need to know the totals first, as
///     H = log2(sum(u)) - sum(u log2 u) / sum(u)   and   D = sum(l log2 u) / sum(l) - log2(l / c)
template <class L>
entropy_sums entropy_kernel(const float* load, const float* capacity, std::size_t n) noexcept {
  constexpr std::size_t lately = 16 * L::count;
  long_sum<L> use, use_log, loads, load_log, capacities;
  for (std::size_t from = 0; from < n; from += lately) {
    const std::size_t end = n - from < lately ? n : from + lately;
    for (std::size_t i = from; i < end; i += L::count) {
      const std::size_t left = end - i;
      const auto l = left < L::count ? L::load(load + i, left, 0.f) : L::load(load + i);
      const auto c = left < L::count ? L::load(capacity + i, left, 1.f) : L::load(capacity + i);
      const typename L::real u = l / c;
      const auto log = log2_or_0<L>(u);
      use.add(u);
      use_log.add(u * log);
      loads.add(l);
      load_log.add(l * log);
      capacities.add(left < L::count ? L::load(capacity + i, left, 0.f) : c);
    }
    use.flush(), use_log.flush(), loads.flush(), load_log.flush(), capacities.flush();
  }
  return {use.total(), use_log.total(), loads.total(), load_log.total(), capacities.total()};
}

} // namespace warp::gpu
