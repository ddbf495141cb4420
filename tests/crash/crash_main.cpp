// tests/run crash: looks at the states that a loss of power may leave of workloads drawn from
// seeds.

#include "tests/crash/search.hpp"

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fmt/format.h>
#include <string_view>

using namespace warp::testing;
using steady = std::chrono::steady_clock;

namespace {

constexpr std::uint64_t states_default = 100'000, states_long = 1'000'000;

struct arguments {
  std::uint64_t seed = 1, states = 0;
  bool one_seed = false, verbose = false;
};

[[noreturn]] void usage() {
  std::fputs("crash_search [--long] [--states N] [--seed S] [--verbose]\n"
             "  --long      1,000,000 states instead of 100,000\n"
             "  --states N  so many distinct states, from as many seeds as it takes\n"
             "  --seed S    only this seed; with --states: from this seed on\n"
             "  --verbose   a line for each seed\n",
             stderr);
  std::exit(2);
}

arguments parse(int argc, char** argv) {
  arguments a;
  const auto number = [&](int& i) -> std::uint64_t {
    char* end = nullptr;
    const auto value = i + 1 < argc ? std::strtoull(argv[++i], &end, 10) : 0;
    if (end == nullptr || *end != '\0') usage();
    return value;
  };
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word == "--long") {
      a.states = states_long;
    } else if (word == "--states") {
      a.states = number(i);
    } else if (word == "--seed") {
      a.seed = number(i);
      a.one_seed = true;
    } else if (word == "--verbose") {
      a.verbose = true;
    } else {
      usage();
    }
  }
  if (a.states != 0)
    a.one_seed = false;
  else if (!a.one_seed)
    a.states = states_default;
  return a;
}

double seconds_since(steady::time_point begin) {
  return std::chrono::duration<double>(steady::now() - begin).count();
}

struct row {
  std::uint64_t seeds = 0;
  search_counts counts;
  double seconds = 0;
};

} // namespace

int main(int argc, char** argv) {
  const auto a = parse(argc, argv);
  std::array<row, workload_kinds> rows;
  search_counts all;
  const auto began = steady::now();
  std::uint64_t seed = a.seed;
  for (; a.one_seed ? seed == a.seed : all.states < a.states; ++seed) {
    const auto seed_began = steady::now();
    crash_search search{seed, {.states = a.one_seed ? ~std::uint64_t{0} : a.states - all.states}};
    const auto broken = search.run();
    auto& r = rows[static_cast<std::size_t>(search.kind())];
    ++r.seeds;
    r.counts.add(search.counts());
    r.seconds += seconds_since(seed_began);
    all.add(search.counts());
    if (a.verbose)
      fmt::print("seed {:4} {:12} {:6} points {:6} states\n", seed, to_string(search.kind()),
                 search.counts().points, search.counts().states);
    if (broken) {
      fmt::print("FAILED after {} states\n{}\n", all.states, describe(*broken));
      return 1;
    }
  }
  fmt::print("{:13} {:>6} {:>9} {:>10} {:>10} {:>10}\n", "workload", "seeds", "points", "states",
             "restarted", "states/s");
  for (std::size_t k = 0; k < rows.size(); ++k)
    if (const auto& r = rows[k]; r.seeds != 0)
      fmt::print("{:13} {:>6} {:>9} {:>10} {:>10} {:>10.0f}\n",
                 to_string(static_cast<workload_kind>(k)), r.seeds, r.counts.points,
                 r.counts.states, r.counts.restarts,
                 static_cast<double>(r.counts.states) / r.seconds);
  const auto took = seconds_since(began);
  fmt::print("{} distinct crash states (of these {} within a recovery), {} used and started again: "
             "every promise kept; {:.1f} s, {:.0f} states/s, seeds {} to {}\n",
             all.states, all.recoveries, all.restarts, took, static_cast<double>(all.states) / took,
             a.seed, seed - 1);
  return 0;
}
