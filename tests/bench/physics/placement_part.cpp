// Placement: how long it takes to decide where a group lives, and to learn from what became of it.

#include "physics/mixing.hpp"
#include "physics/placement_learner.hpp"
#include "tests/bench/physics/part.hpp"
#include "tests/bench/physics/tier_costs.hpp"
#include "tests/bench/process_usage.hpp"

#include <cstdint>
#include <vector>

namespace warp::bench::physics {

namespace {

using namespace warp::physics;

void run(report& out, const part_options&) {
  out.begin("placement: how long a decision takes", 30);
  out.section("placement, 100 k groups of all histories");
  if (!out.wanted_section()) return;
  mixed_sequence random{1};
  std::vector<placement_features> groups(100'000);
  for (std::uint32_t g = 0; g < groups.size(); ++g) {
    auto& f = groups[g];
    f.value = value_of(g);
    f.type = random.below(4);
    f.partners = random.below(20);
    const double interval = 1 + random.unit() * 3000;
    for (auto reads = random.below(20); reads > 0; --reads)
      f.history.read(static_cast<double>(20 - reads) * interval * (0.5 + random.unit()));
    f.history.turn();
  }
  const double now_s = 100'000;
  const std::size_t rounds = out.quick() ? 2 : 20;
  placement_learner learner{tier_costs_of_the_bench()};
  std::vector<double> learning, deciding;
  std::uint64_t sum = 0;
  const auto ns_each = [&](const auto& work) {
    const double begin = process_usage::of_thread().cpu_seconds;
    for (std::size_t r = 0; r < rounds; ++r)
      for (const auto& f : groups) work(f, static_cast<double>(r) * tier_window_s);
    return (process_usage::of_thread().cpu_seconds - begin) * 1e9 /
           static_cast<double>(rounds * groups.size());
  };
  for (int i = 0; i < 5; ++i) {
    learning.push_back(ns_each([&](const placement_features& f, double at_s) {
      learner.learn(f, now_s + at_s, random.below(30));
    }));
    deciding.push_back(ns_each([&](const placement_features& f, double at_s) {
      sum += index_of(learner.decide(f, {}, now_s + at_s, tier_window_s).tier);
    }));
  }
  out.note(learner.learned_decides() ? "what was learned decides" : "the rule decides");
  out.add({.name = "a decision",
           .unit = "us CPU",
           .runs =
               [&] {
                 auto us = deciding;
                 for (auto& d : us) d /= 1e3;
                 return us;
               }(),
           .bar = 50,
           .goal = 2,
           .at_most = true});
  out.add({.name = "an outcome learned", .unit = "ns CPU", .runs = learning});
  if (sum == 0) out.note("everything is in memory"); // and the decisions were not left out
}

} // namespace

const part placement_part{"placement", "how long a decision where a group lives takes", run};

} // namespace warp::bench::physics
