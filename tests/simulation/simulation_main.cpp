// tests/run simulate: whole clusters in one thread, one seed after the other.

#include "tests/simulation/simulation.hpp"

#include <charconv>
#include <chrono>
#include <cstdio>
#include <fmt/format.h>
#include <string_view>

using namespace warp::testing;

namespace {
/// What is summed up over all runs.
constexpr std::uint64_t simulation_result::*counts[] = {
    &simulation_result::events,         &simulation_result::answers,
    &simulation_result::commits,        &simulation_result::reigns,
    &simulation_result::epochs,         &simulation_result::moves,
    &simulation_result::checkpoints,    &simulation_result::chunks,
    &simulation_result::chunks_resumed, &simulation_result::outdated,
    &simulation_result::losses,         &simulation_result::lost_requests,
    &simulation_result::stale,          &simulation_result::undecided,
    &simulation_result::messages,       &simulation_result::packets,
    &simulation_result::syncs,          &simulation_result::syncs_wanted,
    &simulation_result::read_backs,     &simulation_result::records_read_back};
} // namespace

int main(int argc, char** argv) {
  std::uint64_t seeds = 2'000, from = 1;
  simulation_options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    const std::string_view text = i + 1 < argc ? argv[i + 1] : "";
    const auto number = [&](std::uint64_t& to) {
      ++i;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), to);
      return error == std::errc{} && end == text.data() + text.size();
    };
    const auto scenario_name = [&] {
      ++i;
      for (std::size_t k = 0; k < scenarios; ++k)
        if (to_string(static_cast<scenario>(k)) == text) options.about = static_cast<scenario>(k);
      return options.about.has_value();
    };
    if (option == "--trace") {
      options.trace = true;
    } else if (!(option == "--seeds" && number(seeds)) && !(option == "--from" && number(from)) &&
               !(option == "--about" && scenario_name())) {
      fmt::print(stderr,
                 "usage: [--seeds N] [--from S] [--about mixed|usurpers|hand-overs|losses|"
                 "placements|rebuilds|laggards] [--trace]; --trace: of a whole run, each\n");
      return 2;
    }
  }
  const auto began = std::chrono::steady_clock::now();
  std::uint64_t failed = 0, done = 0;
  simulation_result sum;
  for (auto seed = from; seed < from + seeds && failed < 5; ++seed, ++done) {
    options.seed = seed;
    const auto r = simulate(options);
    for (const auto& line : r.trace) fmt::print("{}\n", line);
    for (const auto count : counts) sum.*count += r.*count;
    if (r.violation.empty()) continue;
    ++failed;
    fmt::print("FAILED: {}\nagain: tests/run simulate --seeds 1 --from {}{}\n\n",
               shortened(options), seed,
               options.about ? fmt::format(" --about {}", to_string(*options.about)) : "");
    std::fflush(stdout);
  }
  const auto s = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  fmt::print("{} seeds from {}: {} events, {} answers, {} records committed, {} reigns, {} epochs, "
             "{} moves, {} checkpoints installed ({} chunks, {} of them kept over a restart, {} "
             "checkpoints outdated on their way), {} records read back in {} reads, {} losses "
             "accepted with {} requests, {} keys "
             "stale where clocks are worse than promised, {} histories undecided; {} messages in "
             "{} packets, {} syncs for {}; {:.1f} s\n",
             done, from, sum.events, sum.answers, sum.commits, sum.reigns, sum.epochs, sum.moves,
             sum.checkpoints, sum.chunks, sum.chunks_resumed, sum.outdated, sum.records_read_back,
             sum.read_backs, sum.losses, sum.lost_requests, sum.stale, sum.undecided, sum.messages,
             sum.packets, sum.syncs, sum.syncs_wanted, s);
  if (failed != 0) fmt::print("{} seeds FAILED\n", failed);
  return failed == 0 ? 0 : 1;
}
