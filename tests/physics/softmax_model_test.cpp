#include "physics/softmax_model.hpp"
#include "tests/physics/seeded_random.hpp"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cmath>
#include <vector>

using namespace warp::physics;
using Catch::Approx;

TEST_CASE("a score is the weighted sum of the features and the bias", "[physics][softmax]") {
  const std::vector<double> weights{1, 2, 10, -1, 0.5, 0}, features{3, 4};
  CHECK(softmax_scores({2, 2}, weights, features) == std::vector<double>{21, -1});
}

TEST_CASE("probabilities sum to one however large the scores are", "[physics][softmax]") {
  std::vector<double> p{1e300, 1e300, -1e300};
  softmax_probabilities(p);
  CHECK(p == std::vector<double>{0.5, 0.5, 0});
  softmax_probabilities({});
}

TEST_CASE("a step follows the slope of the loss", "[physics][softmax]") {
  seeded_random random;
  const softmax_shape shape{3, 4};
  std::vector<double> weights(shape.weights()), features(3 * 5);
  for (auto& w : weights) w = random.between(-1, 1);
  for (auto& f : features) f = random.between(-1, 1);
  const std::vector<std::uint32_t> right{0, 3, 1, 1, 2};
  const auto loss = [&](const std::vector<double>& w) {
    double sum = 0;
    for (std::size_t r = 0; r < right.size(); ++r) {
      auto p = softmax_scores(shape, w, std::span{features}.subspan(r * 3, 3));
      softmax_probabilities(p);
      sum -= std::log(p[right[r]]);
    }
    return sum / 5;
  };
  const auto trained = softmax_trained(shape, weights, features, right, {.rate = 1});
  for (std::size_t w = 0; w < weights.size(); ++w) {
    auto more = weights, less = weights;
    more[w] += 1e-5;
    less[w] -= 1e-5;
    CHECK(weights[w] - trained[w] == Approx((loss(more) - loss(less)) / 2e-5).margin(1e-8));
  }
}

TEST_CASE("training learns which class belongs to which features", "[physics][softmax]") {
  seeded_random random;
  const softmax_shape shape{2, 3};
  std::vector<double> weights(shape.weights(), 0), features(2 * 200);
  std::vector<std::uint32_t> right(200);
  for (std::size_t r = 0; r < 200; ++r) {
    features[2 * r] = random.between(-1, 1);
    features[2 * r + 1] = random.between(-1, 1);
    right[r] = features[2 * r] > 0.3 ? 0 : features[2 * r + 1] > 0 ? 1 : 2;
  }
  for (int step = 0; step < 500; ++step)
    weights = softmax_trained(shape, weights, features, right, {.rate = 1});
  int good = 0;
  for (std::size_t r = 0; r < 200; ++r) {
    const auto s = softmax_scores(shape, weights, std::span{features}.subspan(r * 2, 2));
    good += std::ranges::max_element(s) - s.begin() == right[r];
  }
  CHECK(good > 160);
}
