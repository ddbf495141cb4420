#include "physics/softmax_model.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>

namespace warp::physics {

std::vector<double> softmax_scores(softmax_shape shape, std::span<const double> weights,
                                   std::span<const double> features) {
  assert(weights.size() == shape.weights() && features.size() == shape.features);
  std::vector<double> scores(shape.classes);
  for (std::size_t c = 0; c < shape.classes; ++c) {
    const auto row = weights.subspan(c * (shape.features + 1), shape.features + 1);
    double sum = row[shape.features];
    for (std::size_t f = 0; f < shape.features; ++f) sum += row[f] * features[f];
    scores[c] = sum;
  }
  return scores;
}

void softmax_probabilities(std::span<double> scores) noexcept {
  if (scores.empty()) return;
  const double most = *std::ranges::max_element(scores);
  double sum = 0;
  for (auto& s : scores) sum += s = std::exp(s - most); // the greatest is 1: none overflows
  for (auto& s : scores) s /= sum;
}

std::vector<double> softmax_trained(softmax_shape shape, std::span<const double> weights,
                                    std::span<const double> features,
                                    std::span<const std::uint32_t> right, softmax_step step) {
  assert(features.size() == right.size() * shape.features);
  std::vector<double> out(weights.begin(), weights.end());
  if (right.empty()) return out;
  std::vector<double> slope(shape.weights(), 0);
  for (std::size_t r = 0; r < right.size(); ++r) {
    const auto row = features.subspan(r * shape.features, shape.features);
    auto p = softmax_scores(shape, weights, row);
    softmax_probabilities(p);
    assert(right[r] < shape.classes);
    p[right[r]] -= 1;
    for (std::size_t c = 0; c < shape.classes; ++c) {
      auto* const to = slope.data() + c * (shape.features + 1);
      for (std::size_t f = 0; f < shape.features; ++f) to[f] += p[c] * row[f];
      to[shape.features] += p[c];
    }
  }
  const auto rows = static_cast<double>(right.size());
  for (std::size_t w = 0; w < out.size(); ++w)
    out[w] -= step.rate * (slope[w] / rows + step.shrink * weights[w]);
  return out;
}

} // namespace warp::physics
