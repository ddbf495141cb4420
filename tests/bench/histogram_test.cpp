#include "tests/bench/histogram.hpp"

#include "tests/bench/random.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cmath>
#include <memory>
#include <vector>

using warp::bench::fast_random;
using warp::bench::histogram;

TEST_CASE("a percentile is at most 1/64 above the true one and never below", "[bench][histogram]") {
  auto h = std::make_unique<histogram>();
  std::vector<std::uint64_t> values;
  fast_random random{11};
  for (int i = 0; i < 100'000; ++i) {
    const auto v = static_cast<std::uint64_t>(std::exp(random.unit() * 30));
    values.push_back(v);
    h->add(v);
  }
  std::sort(values.begin(), values.end());
  REQUIRE(h->count() == values.size());
  REQUIRE(h->max() == values.back());
  for (const double share : {0.0001, 0.01, 0.1, 0.5, 0.9, 0.99, 0.999, 0.9999, 1.0}) {
    CAPTURE(share);
    const auto rank = static_cast<std::size_t>(
        std::ceil(share * static_cast<double>(values.size()) - 1e-6)); // of 1 .. n
    const auto exact = values[std::max<std::size_t>(1, rank) - 1];
    REQUIRE(h->at(share) >= exact);
    REQUIRE(static_cast<double>(h->at(share)) <= static_cast<double>(exact) * (1 + 1.0 / 64) + 1);
  }
}

TEST_CASE("small values and the ends of the range are exact or close", "[bench][histogram]") {
  for (const std::uint64_t v :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{63}, std::uint64_t{64},
        std::uint64_t{127}, std::uint64_t{128}, std::uint64_t{1} << 40, ~std::uint64_t{0}}) {
    CAPTURE(v);
    auto h = std::make_unique<histogram>();
    h->add(v);
    h->add(v);
    REQUIRE(h->at(0.5) == v); // cut off at the largest value seen
    REQUIRE(h->at(1) == v);
  }
  REQUIRE(std::make_unique<histogram>()->at(0.5) == 0);
}

TEST_CASE("added histograms count what both counted", "[bench][histogram]") {
  auto a = std::make_unique<histogram>(), b = std::make_unique<histogram>();
  for (std::uint64_t i = 0; i < 900; ++i) a->add(10);
  for (std::uint64_t i = 0; i < 100; ++i) b->add(1'000);
  a->add(*b);
  REQUIRE(a->count() == 1'000);
  REQUIRE(a->max() == 1'000);
  REQUIRE(a->at(0.9) == 10);
  REQUIRE(a->at(0.91) == 1'000);
}
