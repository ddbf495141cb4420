// tests/run planted: known mistakes, one after the other, each of which the search for crash states
// has to find.

#include "storage/planted.hpp"
#include "tests/crash/search.hpp"

#include <chrono>
#include <cstdio>
#include <fmt/format.h>
#include <string_view>

namespace warp::storage {
mistake planted_mistake = mistake::none;
} // namespace warp::storage

using namespace warp::testing;
using warp::storage::mistake;
using warp::storage::planted_mistake;

namespace {

/// A mistake that is not found in so many states is missed.
constexpr std::uint64_t states_max = 40'000;
/// What is looked at without a mistake, so that nothing else is found in its place.
constexpr std::uint64_t states_without = 4'000;

struct planted_case {
  std::string_view what;
  mistake in_code = mistake::none;
  omission left_out = omission::none;
  /// The one that shows it, where the others would only cost time.
  std::optional<workload_kind> shown_by = {};
};

constexpr planted_case cases[] = {
    {"a write is acknowledged before the sync", mistake::none, omission::log_sync},
    {"a new segment's folder is not synced", mistake::none, omission::log_folder_sync},
    {"an old segment is written to before its new name is durable", mistake::none,
     omission::spare_folder_sync},
    {"what recovery has read of a tail is not synced", mistake::none, omission::tail_sync},
    {"the manifest is renamed before it is synced", mistake::none, omission::manifest_sync},
    {"the folder is not synced behind the manifest's renaming", mistake::none,
     omission::manifest_folder_sync},
    {"the manifest is written over in place", mistake::none, omission::manifest_renaming},
    {"the log is released before the checkpoint is synced", mistake::none,
     omission::checkpoint_sync},
    {"the folder is not synced behind a checkpoint's renaming", mistake::none,
     omission::checkpoint_folder_sync},
    {"a checkpoint is published before the log is durable up to its end",
     mistake::checkpoint_before_log},
    {"a transaction's part counts as durable while another is not",
     mistake::durable_before_all_parts},
    {"of the log only what is above a checkpoint's end is kept", mistake::log_released_too_far,
     omission::none, workload_kind::walks},
    {"the LSN block is not skipped after a crash", mistake::lsn_block_not_skipped},
    {"a torn frame is accepted", mistake::no_frame_checksum},
    {"recycled bytes are believed", mistake::one_segment_id},
    {"a transaction's part is believed while another is missing", mistake::part_believed},
    {"the log is replayed from a checkpoint's end", mistake::replay_from_end, omission::none,
     workload_kind::walks},
    {"a seal is not synced before the next segment is used", mistake::seal_not_synced},
    {"a frame names as synced what is written with it", mistake::synced_too_high},
};

struct result {
  std::uint64_t states = 0;
  std::optional<found_violation> found;
};

result search(const planted_case& c, std::uint64_t states_limit) {
  planted_mistake = c.in_code;
  result r;
  for (std::uint64_t seed = 1; !r.found && r.states < states_limit; ++seed) {
    if (c.shown_by && static_cast<workload_kind>(seed % workload_kinds) != *c.shown_by) continue;
    crash_search one{seed, {.states = states_limit - r.states, .states_per_life = 600}, c.left_out};
    r.found = one.run();
    r.states += one.counts().states;
  }
  planted_mistake = mistake::none;
  return r;
}

} // namespace

int main(int argc, char** argv) {
  const bool quiet = argc > 1 && std::string_view{argv[1]} == "--brief";
  const std::string_view only = argc > (quiet ? 2 : 1) ? argv[quiet ? 2 : 1] : ""; // of a name
  const auto began = std::chrono::steady_clock::now();
  std::size_t missed = 0;
  if (const auto r = search({"nothing"}, states_without); r.found) {
    fmt::print("without a mistake: {}\n", describe(*r.found));
    return 1;
  }
  std::size_t looked_for = 0;
  for (const auto& c : cases) {
    if (c.what.find(only) == c.what.npos) continue;
    ++looked_for;
    const auto r = search(c, states_max);
    fmt::print("{} after {:6} states: {}\n", r.found ? "found " : "MISSED", r.states, c.what);
    if (r.found && !quiet) fmt::print("    {}\n", describe(*r.found));
    std::fflush(stdout);
    missed += r.found ? 0 : 1;
  }
  fmt::print("{} of {} planted mistakes found, {:.1f} s\n", std::size(cases) - missed,
             std::size(cases),
             std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count());
  return missed == 0 ? 0 : 1;
}
