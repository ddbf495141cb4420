#pragma once

#include "gpu/kernels.hpp"
#include "gpu/lanes.hpp"

namespace warp::gpu {

/// sum(value x other), or sum(value) without another column.
template <class L, bool Dot>
double column_sum(const float* value, const float* other, std::size_t n) noexcept {
  constexpr std::size_t lately = 16 * L::count;
  long_sum<L> sum;
  for (std::size_t from = 0; from < n; from += lately) {
    const std::size_t end = n - from < lately ? n : from + lately;
    std::size_t i = from;
    for (; end - i >= L::count; i += L::count)
      if constexpr (Dot)
        sum.add(L::load(value + i) * L::load(other + i));
      else
        sum.add(L::load(value + i));
    if (i < end) {
      auto rest = L::load(value + i, end - i, 0.f);
      if constexpr (Dot) rest = rest * L::load(other + i, end - i, 0.f);
      sum.add(rest);
    }
    sum.flush();
  }
  return sum.total();
}

template <class L>
double sum_kernel(const float* value, std::size_t n) noexcept {
  return column_sum<L, false>(value, nullptr, n);
}

template <class L>
double dot_kernel(const float* value, const float* other, std::size_t n) noexcept {
  return column_sum<L, true>(value, other, n);
}

/// Most values are below the least of those named so far, which is one comparison for a register.
template <class L>
void top_kernel(const column_batch& b) noexcept {
  const std::size_t n = b.value.size(), top = b.top_at.size();
  const float* const value = b.value.data();
  std::uint32_t* const at = b.top_at.data();
  float* const greatest = b.top_value.data();
  if (top == 0) return;
  std::size_t named = 0;
  const auto take = [&](std::size_t i) {
    if (named == top && !(value[i] > greatest[top - 1])) return;
    std::size_t k = named < top ? named++ : top - 1;
    for (; k > 0 && value[i] > greatest[k - 1]; --k) {
      greatest[k] = greatest[k - 1];
      at[k] = at[k - 1];
    }
    greatest[k] = value[i];
    at[k] = static_cast<std::uint32_t>(i);
  };
  std::size_t i = 0;
  for (; n - i >= L::count; i += L::count) {
    if (named == top && !L::any(L::load(value + i) > L::all(greatest[top - 1]))) continue;
    for (std::size_t k = 0; k < L::count; ++k) take(i + k);
  }
  for (; i < n; ++i) take(i);
  for (std::size_t k = named; k < top; ++k) {
    greatest[k] = 0;
    at[k] = column_batch::none_at;
  }
}

/// Without branches: each index is written and stays if it passed.
template <class L>
std::uint64_t filter_kernel(const column_batch& b) noexcept {
  const std::size_t n = b.value.size();
  const float* const value = b.value.data();
  std::size_t count = 0;
  if (b.passed.empty()) {
    for (std::size_t i = 0; i < n; ++i) count += value[i] >= b.low && value[i] < b.high;
    return count;
  }
  std::uint32_t* const passed = b.passed.data();
  for (std::size_t i = 0; i < n; ++i) {
    passed[count] = static_cast<std::uint32_t>(i); // count <= i: within n
    count += value[i] >= b.low && value[i] < b.high;
  }
  return count;
}

} // namespace warp::gpu
