// tests/run simulate: whole clusters in one thread, one seed after the other.

#include "tests/simulation/simulation.hpp"

#include <charconv>
#include <chrono>
#include <cstdio>
#include <fmt/format.h>
#include <string_view>

using namespace warp::testing;

int main(int argc, char** argv) {
  std::uint64_t seeds = 2'000, from = 1;
  bool trace = false;
  for (int i = 1; i < argc; ++i) {
    const std::string_view option = argv[i];
    const auto number = [&](std::uint64_t& to) {
      const std::string_view text = ++i < argc ? argv[i] : "";
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), to);
      return error == std::errc{} && end == text.data() + text.size();
    };
    if (option == "--trace") {
      trace = true;
    } else if (!(option == "--seeds" && number(seeds)) && !(option == "--from" && number(from))) {
      fmt::print(stderr,
                 "usage: [--seeds N] [--from S] [--trace]; --trace: of a whole run, each\n");
      return 2;
    }
  }
  const auto began = std::chrono::steady_clock::now();
  std::uint64_t failed = 0, events = 0, commits = 0, answers = 0, reigns = 0, epochs = 0,
                checkpoints = 0, moves = 0, undecided = 0;
  for (auto seed = from; seed < from + seeds && failed < 5; ++seed) {
    const simulation_options options{.seed = seed, .trace = trace};
    const auto r = simulate(options);
    for (const auto& line : r.trace) fmt::print("{}\n", line);
    events += r.events;
    commits += r.commits;
    answers += r.answers;
    reigns += r.reigns;
    epochs += r.epochs;
    checkpoints += r.checkpoints;
    moves += r.moves;
    undecided += r.undecided ? 1 : 0;
    if (r.violation.empty()) continue;
    ++failed;
    fmt::print("FAILED: {}\nagain: tests/run simulate --seeds 1 --from {}\n\n", shortened(options),
               seed);
    std::fflush(stdout);
  }
  const auto s = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  fmt::print(
      "{} seeds from {}: {} events, {} answers, {} records committed, {} reigns, {} epochs, {} "
      "checkpoints installed, {} moves; {} histories undecided; {:.1f} s\n",
      seeds, from, events, answers, commits, reigns, epochs, checkpoints, moves, undecided, s);
  if (failed != 0) fmt::print("{} seeds FAILED\n", failed);
  return failed == 0 ? 0 : 1;
}
