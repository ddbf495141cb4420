#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace warp::physics {

/// A small linear model that chooses one of a few classes (where a value should live) from numbers
/// that describe it: multinomial logistic regression. It is the batch-trained companion of
/// placement_learner.hpp, and simpler: no cells, no arms. `weights` holds `classes` rows of
/// features + 1 numbers, the last of a row is its bias.
struct softmax_shape {
  std::size_t features = 0, classes = 0;

  [[nodiscard]] constexpr std::size_t weights() const noexcept { return classes * (features + 1); }
};

struct softmax_step {
  double rate = 0.1; ///< of learning, > 0
  double shrink = 0; ///< pull of each weight towards 0 (L2), >= 0
};

/// Scores of one row of features, one a class, any sign: the greatest names the choice.
///     score_c = bias_c + sum(weight_cf x feature_f)
/// O(features x classes).
[[nodiscard]] std::vector<double> softmax_scores(softmax_shape shape,
                                                 std::span<const double> weights,
                                                 std::span<const double> features);

/// Scores to probabilities in place, sum 1. O(classes).
void softmax_probabilities(std::span<double> scores) noexcept;

/// One step of gradient descent on a minibatch: rows of features (row by row) and the class that
/// was right for each, below `classes`. The new weights; the old ones without rows.
///     w -= rate x (mean over rows of (p_c - [c is right]) x feature_f + shrink x w)
/// O(rows x features x classes).
[[nodiscard]] std::vector<double> softmax_trained(softmax_shape shape,
                                                  std::span<const double> weights,
                                                  std::span<const double> features,
                                                  std::span<const std::uint32_t> right,
                                                  softmax_step step);

} // namespace warp::physics
