#include "physics/coaccess_graph.hpp"
#include "tests/physics/seeded_random.hpp"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <map>
#include <vector>

using namespace warp::physics;
using Catch::Approx;

namespace {

using pairs = std::vector<coaccess_graph::pair>;

pairs some_pairs(seeded_random& random, std::uint32_t groups) {
  pairs out(random.below(400));
  for (auto& p : out)
    p = {random.below(groups), random.below(groups), static_cast<float>(random.below(5))};
  return out;
}

} // namespace

TEST_CASE("pairs add up in both directions, whatever their order", "[physics][coaccess]") {
  seeded_random random;
  for (int round = 0; round < 100; ++round) {
    const std::uint32_t groups = 1 + random.below(40);
    const auto input = some_pairs(random, groups);
    std::map<std::pair<std::uint32_t, std::uint32_t>, double> expected;
    for (const auto& p : input)
      if (p.a != p.b && p.weight > 0) {
        expected[{p.a, p.b}] += p.weight;
        expected[{p.b, p.a}] += p.weight;
      }
    const coaccess_graph graph{groups, input};
    REQUIRE(graph.groups() == groups);
    REQUIRE(graph.links() == expected.size());
    for (std::uint32_t g = 0; g < groups; ++g)
      for (const auto& l : graph.of(g)) REQUIRE(l.weight == Approx(expected[{g, l.to}]));
  }
}

TEST_CASE("a graph between clusters keeps the weight between them and loses that within",
          "[physics][coaccess]") {
  seeded_random random;
  for (int round = 0; round < 100; ++round) {
    const std::uint32_t groups = 2 + random.below(60), clusters = 1 + random.below(8);
    const coaccess_graph graph{groups, some_pairs(random, groups)};
    std::vector<std::uint32_t> cluster(groups), itself(clusters);
    for (auto& c : cluster) c = random.below(clusters);
    for (std::uint32_t c = 0; c < clusters; ++c) itself[c] = c;
    const auto small = graph.contracted(cluster, clusters);
    REQUIRE(small.groups() == clusters);
    REQUIRE(small.cut(itself) == Approx(graph.cut(cluster)));
    for (std::uint32_t c = 0; c < clusters; ++c)
      for (const auto& l : small.of(c)) REQUIRE(l.to != c);
  }
}

TEST_CASE("nothing is cut in one place, everything when all live alone", "[physics][coaccess]") {
  const coaccess_graph graph{3, pairs{{0, 1, 2}, {1, 2, 3}, {1, 0, 1}}};
  CHECK(graph.cut(std::vector<std::uint32_t>{4, 4, 4}) == 0);
  CHECK(graph.cut(std::vector<std::uint32_t>{0, 1, 2}) == Approx(6));
  CHECK(graph.weight_of(1) == Approx(6));
  CHECK(coaccess_graph{}.groups() == 0);
}
