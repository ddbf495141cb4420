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
constexpr std::uint64_t seeds_max = 4'000;
/// What is looked at without a mistake, so that nothing else is found in its place.
constexpr std::uint64_t seeds_without = 60;

struct planted_case {
  mistake which;
  scenario about; ///< where it is looked for
  std::string_view what;
};

constexpr planted_case cases[] = {
    {mistake::ack_before_append, scenario::mixed,
     "R3: a write is acknowledged when the primary alone has it"},
    {mistake::any_boot_counts, scenario::mixed, "R3: Acks of another boot count"},
    {mistake::ack_set_confirmed_only, scenario::mixed,
     "R4: a member that was proposed is not waited for"},
    {mistake::ack_set_proposed_only, scenario::mixed,
     "R4: a member that was proposed to leave is not waited for"},
    {mistake::read_settles, scenario::mixed,
     "R4: a read of the old revision settles a lost compare-and-set"},
    {mistake::failed_compare_settles, scenario::mixed, "R4: a failed compare settles it"},
    {mistake::add_on_appended, scenario::mixed, "R4: a member is added on what it has not synced"},
    {mistake::lower_epoch_accepted, scenario::mixed, "R1: no fence"},
    {mistake::fence_not_synced, scenario::mixed, "R1: acts in an epoch before max_epoch is synced"},
    {mistake::checkpoint_no_fence, scenario::rebuilds,
     "R1: an installed checkpoint does not raise max_epoch"},
    {mistake::ack_own_end, scenario::hand_overs, "R2: an Ack names the end of the acker's own log"},
    {mistake::commit_own_end, scenario::mixed,
     "R2: a replica applies up to the end of its own log"},
    {mistake::truncate_always, scenario::mixed, "R2: a late Append cuts the log"},
    {mistake::no_match, scenario::mixed, "R2: what stands before a record is not compared"},
    {mistake::candidate_grants, scenario::usurpers,
     "R6: a candidate grants while its compare-and-set is under way"},
    {mistake::no_promise, scenario::usurpers, "R6: takes over while its own promise runs"},
    {mistake::outsider_takes_over, scenario::mixed, "R6: a node that is not in the set takes over"},
    {mistake::lease_confirmed_only, scenario::usurpers,
     "R7: a member that was proposed need not grant"},
    {mistake::lease_not_checked, scenario::usurpers, "R7: a primary believes in its role instead"},
    {mistake::serve_early, scenario::hand_overs, "R8: serves before its no-op is committed"},
    {mistake::checkpoint_same_boot, scenario::rebuilds,
     "R10: a copy set back by a checkpoint keeps its boot"},
    {mistake::claim_at_replicated, scenario::mixed,
     "R11: a seat is claimed though the level keeps nothing on disk"},
    {mistake::loss_not_told, scenario::losses,
     "R11: a copy from before an accepted loss goes on as it was"},
    {mistake::hand_over_reads, scenario::hand_overs,
     "R12: reads go on while the switch-over is under way"},
    {mistake::window_ignored, scenario::laggards, "I12: what is in flight is not bounded"},
    {mistake::pins_without_end, scenario::laggards,
     "I12: what is kept for a checkpoint that arrives is not bounded"},
};

struct result {
  std::uint64_t seed = 0;
  std::string violation;
};

result search(mistake which, scenario about, std::uint64_t seeds) {
  planted_mistake = which;
  result r;
  while (r.violation.empty() && r.seed < seeds)
    r.violation = simulate({.seed = ++r.seed, .about = about}).violation;
  planted_mistake = mistake::none;
  return r;
}

} // namespace

int main(int argc, char** argv) {
  const std::string_view only = argc > 1 ? argv[1] : ""; // of a name
  const auto began = std::chrono::steady_clock::now();
  for (std::size_t i = 0; i < scenarios; ++i)
    if (const auto r = search(mistake::none, static_cast<scenario>(i), seeds_without);
        !r.violation.empty()) {
      fmt::print("without a mistake, {}, seed {}: {}\n", to_string(static_cast<scenario>(i)),
                 r.seed, r.violation);
      return 1;
    }
  std::size_t missed = 0, looked_for = 0;
  for (const auto& c : cases) {
    if (c.what.find(only) == c.what.npos) continue;
    ++looked_for;
    const auto r = search(c.which, c.about, seeds_max);
    missed += r.violation.empty() ? 1 : 0;
    if (r.violation.empty())
      fmt::print("MISSED with {} seeds of {}: {}\n", r.seed, to_string(c.about), c.what);
    else
      fmt::print("found by seed {:4} of {:10} {}\n", r.seed, to_string(c.about), c.what);
    if (!r.violation.empty()) fmt::print("    {}\n", r.violation.substr(0, r.violation.find('\n')));
    std::fflush(stdout);
  }
  fmt::print("{} of {} planted mistakes found, {:.1f} s\n", looked_for - missed, looked_for,
             std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
  return missed == 0 ? 0 : 1;
}
