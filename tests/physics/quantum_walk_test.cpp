#include "physics/quantum_walk.hpp"
#include "tests/physics/seeded_random.hpp"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cmath>
#include <complex>
#include <numeric>
#include <vector>

using namespace warp::physics;
using Catch::Approx;
using amplitude = std::complex<double>;

namespace {

coaccess_graph some_graph(seeded_random& random, std::uint32_t groups) {
  std::vector<coaccess_graph::pair> pairs(random.below(4 * groups));
  for (auto& p : pairs)
    p = {random.below(groups), random.below(groups), static_cast<float>(random.between(0.1, 9))};
  return coaccess_graph{groups, pairs};
}

std::vector<amplitude> some_state(seeded_random& random, std::size_t size) {
  std::vector<amplitude> state(size);
  double norm = 0;
  for (auto& a : state) {
    a = {random.between(-1, 1), random.between(-1, 1)};
    norm += std::norm(a);
  }
  for (auto& a : state) a /= std::sqrt(norm);
  return state;
}

double norm_of(const std::vector<amplitude>& state) {
  double sum = 0;
  for (const auto& a : state) sum += std::norm(a);
  return sum;
}

} // namespace

TEST_CASE("a quantum walk is unitary to 1e-6, for short and long times", "[physics][quantum]") {
  seeded_random random;
  for (int round = 0; round < 100; ++round) {
    const auto graph = some_graph(random, 1 + random.below(60));
    const auto start = some_state(random, graph.groups());
    const double t = round % 10 == 0 ? 0 : std::exp(random.between(-4, 5));
    CAPTURE(t);
    REQUIRE(std::abs(norm_of(quantum_walk(graph, start, t)) - 1) < 1e-6);
  }
}

TEST_CASE("walking twice is walking the sum of the times", "[physics][quantum]") {
  seeded_random random;
  for (int round = 0; round < 50; ++round) {
    const auto graph = some_graph(random, 30);
    const auto start = some_state(random, 30);
    const double a = random.between(0, 8), b = random.between(0, 8);
    const auto once = quantum_walk(graph, start, a + b);
    const auto twice = quantum_walk(graph, quantum_walk(graph, start, a), b);
    for (std::size_t g = 0; g < 30; ++g) REQUIRE(std::abs(once[g] - twice[g]) < 1e-6);
  }
}

TEST_CASE("between two groups a walk swings like a pendulum", "[physics][quantum]") {
  // H = [[1, -1], [-1, 1]]: the probability of the other end is sin^2 t.
  const coaccess_graph graph{2, std::vector<coaccess_graph::pair>{{0, 1, 5}}};
  for (double t = 0; t < 10; t += 0.37) {
    const auto where = quantum_relatedness(graph, 0, t);
    CHECK(where[1] == Approx(std::sin(t) * std::sin(t)).margin(1e-9));
    CHECK(where[0] == Approx(std::cos(t) * std::cos(t)).margin(1e-9));
  }
}

TEST_CASE("a walk never reaches what no way leads to, and a lone group stays",
          "[physics][quantum]") {
  const coaccess_graph graph{5, std::vector<coaccess_graph::pair>{{0, 1, 1}, {2, 3, 1}}};
  const auto where = quantum_relatedness(graph, 0, 3);
  CHECK(where[0] + where[1] == Approx(1));
  CHECK(where[2] + where[3] + where[4] == Approx(0).margin(1e-12));
  CHECK(quantum_relatedness(graph, 4, 7)[4] == Approx(1));
}

TEST_CASE("relatedness does not depend on how groups are numbered", "[physics][quantum]") {
  seeded_random random;
  const std::uint32_t groups = 20;
  std::vector<coaccess_graph::pair> pairs(60);
  for (auto& p : pairs) p = {random.below(groups), random.below(groups), 1};
  std::vector<std::uint32_t> name(groups);
  std::iota(name.begin(), name.end(), 0u);
  std::ranges::shuffle(name, random.engine());
  auto renamed = pairs;
  for (auto& p : renamed) p = {name[p.a], name[p.b], p.weight};
  const auto one = quantum_relatedness(coaccess_graph{groups, pairs}, 3, 1.7);
  const auto two = quantum_relatedness(coaccess_graph{groups, renamed}, name[3], 1.7);
  for (std::uint32_t g = 0; g < groups; ++g) CHECK(one[g] == Approx(two[name[g]]).margin(1e-9));
}
