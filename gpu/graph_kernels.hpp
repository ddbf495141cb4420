#pragma once

#include "gpu/kernels.hpp"
#include "gpu/lanes.hpp"

namespace warp::gpu {

/// One step of the Chebyshev recurrence, `L::count` walks side by side: each link costs one load of
/// a whole register, and no gather.
template <class L>
void walk_kernel(const walk_rows& r) noexcept {
  for (std::size_t g = r.begin; g < r.end; ++g) {
    const std::size_t at = g * L::count, first = r.first[g], end = r.first[g + 1];
    auto sum = first == end ? L::load(r.here + at) : L::all(0.f); // without links it stays
    for (std::size_t l = first; l < end; ++l)
      sum = sum + r.weight[l] * L::load(r.here + std::size_t{r.to[l]} * L::count);
    const typename L::real next = -r.twice * sum - r.before * L::load(r.last + at);
    L::store(r.next + at, next);
    L::store(r.sum + at, L::load(r.sum + at) + r.coefficient * next);
  }
}

/// Sum over a row's links of weight x (value at its end - `own`), four at a time: what limits it is
/// how many gathers are under way.
template <class L>
[[gnu::always_inline]] inline float gathered_row(const std::uint32_t* to, const float* weight,
                                                 const float* value, float own, std::size_t first,
                                                 std::size_t end) noexcept {
  float sum[4] = {};
  std::size_t l = first;
  for (; end - l >= 4; l += 4)
    for (std::size_t k = 0; k < 4; ++k) sum[k] += weight[l + k] * (value[to[l + k]] - own);
  for (; l < end; ++l) sum[0] += weight[l] * (value[to[l]] - own);
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

template <class L>
void walk_single_kernel(const walk_rows& r) noexcept {
  for (std::size_t g = r.begin; g < r.end; ++g) {
    const std::size_t first = r.first[g], end = r.first[g + 1];
    const float sum =
        first == end ? r.here[g] : gathered_row<L>(r.to, r.weight, r.here, 0.f, first, end);
    const float next = -r.twice * sum - r.before * r.last[g];
    r.next[g] = next;
    r.sum[g] += r.coefficient * next;
  }
}

template <class L>
void heat_kernel(const heat_rows& r) noexcept {
  for (std::size_t g = r.begin; g < r.end; ++g) {
    const float own = r.here[g];
    const float flow = gathered_row<L>(r.to, r.weight, r.here, own, r.first[g], r.first[g + 1]);
    r.next[g] = r.left * (own + r.share * flow);
  }
}

} // namespace warp::gpu
