#include "tests/simulation/simulation.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <cstdint>
#include <initializer_list>

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
  std::uint64_t reigns = 0, shards = 0, answers = 0;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    const auto r = simulate({.seed = seed, .without = ~0u, .about = scenario::mixed});
    INFO("seed " << seed << ": " << r.setting);
    CHECK(r.violation.empty());
    reigns += r.reigns;
    shards += r.shards;
    answers += r.answers;
  }
  CHECK(reigns == shards);
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
    sum.losses += r.losses;
    sum.chunks += r.chunks;
  }
  CHECK(sum.reigns > 150);
  CHECK(sum.epochs > sum.reigns);
  CHECK(sum.checkpoints > 0);
  CHECK(sum.moves > 0);
  CHECK(sum.losses > 0);
  CHECK(sum.chunks > sum.checkpoints);
}

namespace {
/// Seeds 1 to `count` of what `options` say, none of which may break a rule.
simulation_result sum_of(simulation_options options, std::uint64_t count) {
  simulation_result sum;
  for (options.seed = 1; options.seed <= count; ++options.seed) {
    const auto r = simulate(options);
    INFO("seed " << options.seed << ": " << r.setting);
    CHECK(r.violation == "");
    sum.answers += r.answers;
    sum.stale += r.stale;
    sum.losses += r.losses;
    sum.lost_requests += r.lost_requests;
    sum.checkpoints += r.checkpoints;
    sum.chunks_resumed += r.chunks_resumed;
    sum.outdated += r.outdated;
    sum.epochs += r.epochs;
    sum.packets += r.packets;
    sum.messages += r.messages;
    sum.syncs += r.syncs;
    sum.syncs_wanted += r.syncs_wanted;
    sum.read_backs += r.read_backs;
    sum.records_read_back += r.records_read_back;
    sum.refused_full += r.refused_full;
    sum.held_max = std::max(sum.held_max, r.held_max);
  }
  return sum;
}
std::uint32_t all_but(std::initializer_list<trouble> some) {
  std::uint32_t without = ~0u;
  for (const auto t : some) without &= ~(1u << static_cast<unsigned>(t));
  return without;
}
} // namespace

TEST_CASE("clocks that run apart by more than rho lose no write, but show stale reads (I16)",
          "[simulation]") {
  const auto sum = sum_of({.about = scenario::usurpers, .skewed = true}, 100);
  CHECK(sum.answers > 100 * 50);
  CHECK(sum_of({.about = scenario::usurpers, .clock_ratio = 5.0}, 100).stale > 0);
}

TEST_CASE("clocks that run apart by rho show no stale read (I8)", "[simulation]") {
  const auto sum = sum_of({.about = scenario::usurpers, .clock_ratio = 1.05}, 100);
  CHECK(sum.answers > 100 * 50);
  CHECK(sum.stale == 0); // and whatever is stale is a violation
}

TEST_CASE("what in-sync copies do not lack may be forgotten, and is read back for others (R10)",
          "[simulation]") {
  const auto sum = sum_of({.about = scenario::laggards}, 60);
  CHECK(sum.read_backs > 60);
  CHECK(sum.records_read_back > sum.read_backs);
}

TEST_CASE("under a flood writes are refused, and no copy keeps more than it may (I12)",
          "[simulation]") {
  const auto sum = sum_of({.about = scenario::laggards}, 60);
  CHECK(sum.refused_full > 60);
  CHECK(sum.held_max > 8); // the window; the run would have said by how much it is too much
}

TEST_CASE("an etcd that revokes leases and loses and repeats watch events breaks nothing (I17)",
          "[simulation]") {
  const auto sum = sum_of({.without = all_but({trouble::bad_etcd, trouble::crashes})}, 60);
  CHECK(sum.answers > 60 * 50);
}

TEST_CASE("copies from before an accepted loss are rebuilt, and the loss is counted (R11)",
          "[simulation]") {
  const auto sum = sum_of({.about = scenario::losses}, 200);
  CHECK(sum.losses > 40);
  CHECK(sum.lost_requests > 0);
}

TEST_CASE("copies come and go as placement wants it, and the last one wanted is there (R4, R12)",
          "[simulation]") {
  CHECK(sum_of({.about = scenario::placements}, 60).epochs > 60 * 8);
}

TEST_CASE(
    "checkpoints go on after a restart, and begin anew where the log behind them is gone (R10)",
    "[simulation]") {
  // A process seldom ends just when chunks have come: two runs in a hundred see it.
  const auto sum = sum_of({.about = scenario::rebuilds}, 300);
  CHECK(sum.checkpoints > 150);
  CHECK(sum.chunks_resumed > 0);
  CHECK(sum.outdated > 0);
}

TEST_CASE("what several shards say and sync at one moment goes together", "[simulation]") {
  const auto sum = sum_of({.without = ~0u}, 60);
  CHECK(sum.packets < sum.messages);
  CHECK(sum.syncs < sum.syncs_wanted);
}
