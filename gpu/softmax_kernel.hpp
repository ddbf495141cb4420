#pragma once

#include "gpu/kernels.hpp"
#include "gpu/lanes.hpp"

namespace warp::gpu {

/// weights x features + bias of one class.
template <class L>
[[gnu::always_inline]] inline float softmax_dot(const float* weights, const float* features,
                                                std::size_t n) noexcept {
  auto sum = L::all(0.f);
  std::size_t f = 0;
  for (; n - f >= L::count; f += L::count) sum = sum + L::load(weights + f) * L::load(features + f);
  float out = L::sum(sum) + weights[n];
  for (; f < n; ++f) out += weights[f] * features[f];
  return out;
}

template <class L>
void score_kernel(const score_batch& b, std::size_t begin, std::size_t end) noexcept {
  const std::size_t n = b.shape.features, classes = b.shape.classes;
  for (std::size_t r = begin; r < end; ++r)
    for (std::size_t c = 0; c < classes; ++c)
      b.score.data()[r * classes + c] =
          softmax_dot<L>(b.weights.data() + c * (n + 1), b.features.data() + r * n, n);
}

template <class L>
void train_kernel(const train_batch& b, std::size_t begin, std::size_t end, float* slope) noexcept {
  const std::size_t n = b.shape.features, classes = b.shape.classes;
  float p[score_batch::classes_max];
  for (std::size_t r = begin; r < end; ++r) {
    const float* const row = b.features.data() + r * n;
    float most = -3e38f, total = 0;
    for (std::size_t c = 0; c < classes; ++c) {
      p[c] = softmax_dot<L>(b.weights.data() + c * (n + 1), row, n);
      most = p[c] > most ? p[c] : most;
    }
    for (std::size_t c = 0; c < classes; ++c) total += p[c] = __builtin_expf(p[c] - most);
    for (std::size_t c = 0; c < classes; ++c) {
      const float d = p[c] / total - (c == b.right.data()[r] ? 1.f : 0.f);
      float* const to = slope + c * (n + 1);
      std::size_t f = 0;
      for (; n - f >= L::count; f += L::count)
        L::store(to + f, L::load(to + f) + d * L::load(row + f));
      for (; f < n; ++f) to[f] += d * row[f];
      to[n] += d;
    }
  }
}

} // namespace warp::gpu
