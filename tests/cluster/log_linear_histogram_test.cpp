#include "cluster/log_linear_histogram.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <random>
#include <vector>

namespace warp::cluster {
namespace {

TEST_CASE("quantiles are at most a sixtieth above the truth", "[histogram]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random{seed};
  log_linear_histogram h;
  std::vector<std::uint64_t> all;
  for (int i = 0; i < 50'000; ++i) {
    all.push_back(random() >> (22 + random() % 42)); // every size up to 73 minutes
    h.record(all.back());
  }
  std::ranges::sort(all);
  CHECK(h.count() == all.size());
  CHECK(h.max() == all.back());
  CHECK(h.quantile(1) == all.back());
  for (const double share : {0.0001, 0.01, 0.5, 0.9, 0.99, 0.999}) {
    const auto truth = all[static_cast<std::size_t>(share * double(all.size())) - 1];
    const auto said = h.quantile(share);
    CHECK(said >= truth);
    CHECK(said <= truth + truth / 60 + 1);
  }
}

TEST_CASE("small durations are exact and large ones end in the last bucket", "[histogram]") {
  log_linear_histogram h;
  CHECK(h.quantile(0.5) == 0);
  for (std::uint64_t ns = 0; ns < 128; ++ns) h.record(ns);
  CHECK(h.quantile(0.5) == 63);
  CHECK(h.quantile(1) == 127);
  h.record(~std::uint64_t{0});
  CHECK(h.max() == ~std::uint64_t{0});
  CHECK(h.quantile(0.99) == 127);
}

TEST_CASE("two histograms add up", "[histogram]") {
  log_linear_histogram a, b;
  a.record(10, 3);
  b.record(1'000'000);
  a.add(b);
  CHECK(a.count() == 4);
  CHECK(a.quantile(0.75) == 10);
  CHECK(a.quantile(1) == 1'000'000);
}

} // namespace
} // namespace warp::cluster
