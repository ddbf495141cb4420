// tests/run planted cluster: known mistakes in the machines, one after the other, each of which the
// simulator has to find.

#include "cluster/replication/planted.hpp"
#include "tests/simulation/simulation.hpp"

#include <chrono>
#include <cstdio>
#include <fmt/format.h>
#include <string_view>

namespace warp::cluster::replication {
mistake planted_mistake = mistake::none;
} // namespace warp::cluster::replication

using namespace warp::testing;
using warp::cluster::replication::mistake;
using warp::cluster::replication::planted_mistake;

namespace {

/// A mistake that is not found with so many seeds is missed.
constexpr std::uint64_t seeds_max = 3'000;
/// What is looked at without a mistake, so that nothing else is found in its place.
constexpr std::uint64_t seeds_without = 200;

struct planted_case {
  mistake which;
  std::string_view what;
};

constexpr planted_case cases[] = {
    {mistake::ack_before_append, "R3: a write is acknowledged when the primary alone has it"},
    {mistake::ack_set_confirmed_only, "R4: a member that was proposed is not waited for"},
    {mistake::ack_set_proposed_only, "R4: a member that was proposed to leave is not waited for"},
    {mistake::read_settles, "R4: a read of the old revision settles a lost compare-and-set"},
    {mistake::failed_compare_settles, "R4: a failed compare settles it"},
    {mistake::lower_epoch_accepted, "R1: no fence"},
    {mistake::fence_not_synced, "R1: acts in an epoch before max_epoch is synced"},
    {mistake::truncate_always, "R2: a late Append cuts the log"},
    {mistake::no_match, "R2: what stands before a record is not compared"},
    {mistake::checkpoint_same_boot, "R10: a copy set back by a checkpoint keeps its boot"},
};

struct result {
  std::uint64_t seeds = 0;
  std::string violation;
};

result search(mistake which, std::uint64_t seeds) {
  planted_mistake = which;
  result r;
  while (r.violation.empty() && r.seeds < seeds)
    r.violation = simulate({.seed = ++r.seeds}).violation;
  planted_mistake = mistake::none;
  return r;
}

} // namespace

int main(int argc, char** argv) {
  const std::string_view only = argc > 1 ? argv[1] : ""; // of a name
  const auto began = std::chrono::steady_clock::now();
  if (const auto r = search(mistake::none, seeds_without); !r.violation.empty()) {
    fmt::print("without a mistake, seed {}: {}\n", r.seeds, r.violation);
    return 1;
  }
  std::size_t missed = 0, looked_for = 0;
  for (const auto& c : cases) {
    if (c.what.find(only) == c.what.npos) continue;
    ++looked_for;
    const auto r = search(c.which, seeds_max);
    missed += r.violation.empty() ? 1 : 0;
    fmt::print("{} after {:5} seeds: {}\n", r.violation.empty() ? "MISSED" : "found ", r.seeds,
               c.what);
    if (!r.violation.empty()) fmt::print("    {}\n", r.violation.substr(0, r.violation.find('\n')));
    std::fflush(stdout);
  }
  fmt::print("{} of {} planted mistakes found, {:.1f} s\n", looked_for - missed, looked_for,
             std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
  return missed == 0 ? 0 : 1;
}
