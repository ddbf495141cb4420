#include "physics/heat.hpp"
#include "tests/physics/seeded_random.hpp"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <vector>

using namespace warp::physics;
using Catch::Approx;

TEST_CASE("diffusion keeps all heat and makes nothing hotter than the hottest", "[physics][heat]") {
  seeded_random random;
  for (int round = 0; round < 50; ++round) {
    const std::uint32_t groups = 1 + random.below(40);
    std::vector<coaccess_graph::pair> pairs(random.below(3 * groups));
    for (auto& p : pairs)
      p = {random.below(groups), random.below(groups), static_cast<float>(random.between(0.1, 5))};
    std::vector<double> before(groups);
    for (auto& t : before) t = random.between(0, 100);
    const heat_settings settings{.conductivity = random.between(0, 2),
                                 .dt_s = random.between(0, 5)};
    const auto after = diffused(coaccess_graph{groups, pairs}, before, settings);
    const auto sum = [](const auto& v) { return std::accumulate(v.begin(), v.end(), 0.0); };
    CHECK(sum(after) == Approx(sum(before)));
    CHECK(*std::ranges::max_element(after) <= *std::ranges::max_element(before) * (1 + 1e-12));
    CHECK(*std::ranges::min_element(after) >= 0);
  }
}

TEST_CASE("decay alone halves all heat in its half-life", "[physics][heat]") {
  const heat_settings settings{
      .conductivity = 1, .decay_per_s = 0.6931471805599453 / 300, .dt_s = 300};
  CHECK(diffused(coaccess_graph{1, {}}, std::vector<double>{8}, settings)[0] == Approx(4));
}

TEST_CASE("two groups approach their mean as the exponential does", "[physics][heat]") {
  // The difference falls by exp(-2 k t); steps of at most half of it are a coarse but stable guess.
  const coaccess_graph graph{2, std::vector<coaccess_graph::pair>{{0, 1, 1}}};
  const std::vector<double> before{1, 0};
  std::vector<double> t = before;
  for (int i = 0; i < 1000; ++i) t = diffused(graph, t, {.conductivity = 0.001, .dt_s = 1});
  CHECK(t[0] - t[1] == Approx(std::exp(-2.0)).epsilon(0.01));
}
