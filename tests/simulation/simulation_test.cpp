#include "tests/simulation/simulation.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace warp::testing;

TEST_CASE("the same seed gives the same run, another seed another", "[simulation]") {
  for (const std::uint64_t seed : {1, 2, 3, 40, 41}) {
    const auto one = simulate({.seed = seed}), two = simulate({.seed = seed, .trace = true});
    CHECK(one.fingerprint == two.fingerprint);
    CHECK(one.events == two.events);
    CHECK(one.commits == two.commits);
    CHECK(one.fingerprint != simulate({.seed = seed + 1'000}).fingerprint);
    CHECK(one.trace.empty());
    CHECK_FALSE(two.trace.empty());
  }
}

TEST_CASE("a cluster without trouble has one reign and answers everybody", "[simulation]") {
  std::uint64_t reigns = 0, answers = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const auto r = simulate({.seed = seed, .without = ~0u});
    INFO("seed " << seed << ": " << r.setting);
    CHECK(r.violation.empty());
    reigns += r.reigns;
    answers += r.answers;
  }
  CHECK(reigns == 10);
  CHECK(answers > 10 * 100);
}

TEST_CASE("all that can happen to a cluster happens in a hundred seeds", "[simulation]") {
  simulation_result sum;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    const auto r = simulate({.seed = seed});
    INFO("seed " << seed << ": " << r.setting);
    CHECK(r.violation.empty());
    sum.reigns += r.reigns;
    sum.epochs += r.epochs;
    sum.checkpoints += r.checkpoints;
    sum.moves += r.moves;
  }
  CHECK(sum.reigns > 150);
  CHECK(sum.epochs > sum.reigns);
  CHECK(sum.checkpoints > 0);
  CHECK(sum.moves > 0);
}
