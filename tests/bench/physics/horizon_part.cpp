// Event horizon: miss ratios behind a cache of 0.1, 1, 10 and 20 % of the distinct keys, unit
// sizes, beside well-known policies, and what an access costs beside S3-FIFO.

#include "physics/horizon_fitter.hpp"
#include "tests/bench/physics/cache_policy.hpp"
#include "tests/bench/physics/part.hpp"
#include "tests/bench/physics/trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <ctime>
#include <optional>
#include <string>
#include <vector>

namespace warp::bench::physics {

namespace {

struct contender {
  const char* name;
  make_policy make;
};
constexpr std::array contenders{
    contender{"FIFO", make_fifo},
    contender{"LRU", make_lru},
    contender{"LFU", make_lfu},
    contender{"ARC", make_arc},
    contender{"2Q", make_two_q},
    contender{"LIRS", make_lirs},
    contender{"SIEVE", make_sieve},
    contender{"S3-FIFO", make_s3_fifo},
    contender{"W-TinyLFU", make_w_tiny_lfu},
    contender{"fixed", make_fixed_horizon},
    contender{"horizon", make_fitted_horizon},
};
constexpr std::size_t s3_fifo = 7, w_tiny_lfu = 8, others = 9, ours = contenders.size() - 1;
constexpr std::array sizes{0.001, 0.01, 0.1, 0.2}; // of the distinct keys; the first is not judged

struct cell {
  std::string trace;
  double size;
  std::array<double, contenders.size()> ratio;
  double belady;
};

/// What libCacheSim gives for FIFO .. W-TinyLFU, and an exact simulation for Belady: the check on
/// our baselines. Computed once for the shared traces, sizes as above.
struct reference {
  const char* trace;
  std::array<std::array<double, others + 1>, sizes.size()> ratio;
};
constexpr std::array references{
    reference{"cloudphysics-io",
              {{{.9121, .9030, .9073, .8770, .8689, .8824, .8809, .8765, 1.0000, .8470},
                {.8476, .8380, .8498, .8275, .8305, .8315, .8292, .8304, .8482, .7926},
                {.8054, .8049, .7907, .7728, .7742, .7518, .7907, .7525, .7786, .6289},
                {.7128, .7249, .7162, .7026, .6954, .6559, .7162, .6780, .6858, .5449}}}},
    reference{"scarab-recs",
              {{{.8313, .8174, .8712, .7804, .7725, .8114, .7944, .7719, .8012, .6616},
                {.6817, .6529, .6943, .5918, .5742, .6002, .5919, .5725, .5923, .4665},
                {.4291, .3940, .4876, .3765, .3770, .3792, .3909, .3718, .3896, .2497},
                {.3389, .3048, .3851, .2991, .3068, .3073, .3128, .2991, .3219, .2124}}}},
    reference{"orm-busy",
              {{{.5023, .4981, .9226, .4989, .5735, .6468, .5981, .5975, 1.0000, .3997},
                {.2406, .2297, .8290, .2325, .2351, .2855, .2947, .2436, .4050, .1717},
                {.1321, .1199, .3506, .1196, .1090, .1224, .1188, .1111, .1173, .0669},
                {.0928, .0789, .2170, .0788, .0733, .0786, .0761, .0721, .0673, .0410}}}},
};

double thread_seconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

std::string percent(double share) {
  return fmt::format("{:g} %", share * 100);
}

std::size_t capacity_of(const trace& t, double size) {
  return static_cast<std::size_t>(static_cast<double>(t.keys) * size);
}

std::vector<trace> load(report& out, const part_options& options) {
  const auto files = options.traces.empty() ? shared_traces() : options.traces;
  if (files.empty())
    out.note("no traces: ../shared/data/traces is not there, and --trace names none");
  std::vector<trace> traces;
  for (const auto& file : files) {
    std::string error;
    auto t = read_trace(file, error);
    if (!t) {
      out.note(error);
      continue;
    }
    if (out.quick()) t->accesses.resize(std::min<std::size_t>(t->accesses.size(), 200'000));
    out.setting(t->name, fmt::format("{} accesses, {} keys", t->accesses.size(), t->keys));
    traces.push_back(std::move(*t));
  }
  return traces;
}

std::vector<cell> judge(report& out, const std::vector<trace>& traces) {
  std::string head = fmt::format("{:<16}{:>6}", "trace", "cache");
  for (const auto& c : contenders) head += fmt::format("{:>10}", c.name);
  out.note(head + "    Belady");
  std::vector<cell> cells;
  for (const auto& t : traces) {
    for (const auto size : sizes) {
      const auto capacity = capacity_of(t, size);
      if (capacity < 10) continue;
      cell c{t.name, size, {}, belady_miss_ratio(t, capacity)};
      auto line = fmt::format("{:<16}{:>6}", t.name, percent(size));
      for (std::size_t i = 0; i < contenders.size(); ++i) {
        c.ratio[i] = miss_ratio(*contenders[i].make(t.keys, capacity), t);
        line += fmt::format("{:>10.4f}", c.ratio[i]);
      }
      out.note(fmt::format("{}{:>10.4f}", line, c.belady));
      cells.push_back(c);
    }
  }
  return cells;
}

/// Judged sizes only.
double mean_of(const std::vector<cell>& cells, std::size_t policy) {
  double sum = 0, n = 0;
  for (const auto& c : cells)
    if (c.size >= 0.01) sum += c.ratio[policy], ++n;
  return n == 0 ? 0 : sum / n;
}

void add_means(report& out, const std::vector<cell>& cells) {
  out.section("mean miss ratio at 1, 10 and 20 %");
  std::size_t best = 0;
  for (std::size_t i = 0; i < others; ++i) {
    out.add({contenders[i].name, "%", {100 * mean_of(cells, i)}});
    if (mean_of(cells, i) < mean_of(cells, best)) best = i;
  }
  out.add({"horizon, never re-fitted", "%", {100 * mean_of(cells, ours - 1)}});
  figure f{"horizon, below the best of them", "%", {100 * mean_of(cells, ours)}};
  f.peer = contenders[best].name;
  f.peer_runs = {100 * mean_of(cells, best)};
  f.ratio_bar = 0.9999;
  f.at_most = true;
  out.add(std::move(f));
}

void add_cells(report& out, const std::vector<cell>& cells) {
  out.section("miss ratio beside S3-FIFO");
  for (const auto& c : cells) {
    figure f{fmt::format("{}, {}", c.trace, percent(c.size)), "%", {100 * c.ratio[ours]}};
    f.peer = "S3-FIFO";
    f.peer_runs = {100 * c.ratio[s3_fifo]};
    f.at_most = true;
    if (c.size >= 0.01) f.ratio_bar = 1.01;
    out.add(std::move(f));
  }
}

/// How far our baselines are from the reference at most: the same algorithms to the third digit.
void add_checks(report& out, const std::vector<cell>& cells) {
  std::array<double, others + 1> off{};
  std::size_t compared = 0;
  for (const auto& c : cells)
    for (const auto& r : references) {
      if (c.trace != r.trace) continue;
      const auto row =
          static_cast<std::size_t>(std::find(sizes.begin(), sizes.end(), c.size) - sizes.begin());
      for (std::size_t i = 0; i <= others; ++i)
        off[i] = std::max(off[i], std::abs((i < others ? c.ratio[i] : c.belady) - r.ratio[row][i]));
      ++compared;
    }
  if (compared == 0 || out.quick()) return;
  out.section("baselines: farthest from libCacheSim, in its cells");
  for (std::size_t i = 0; i <= others; ++i) {
    figure f{i < others ? contenders[i].name : "Belady", "points", {100 * off[i]}};
    if (i != w_tiny_lfu) f.bar = 0.05;
    f.at_most = true;
    out.add(std::move(f));
  }
  out.note("points: hundredths of the accesses; W-TinyLFU is another one, see its file");
}

/// Processor time of this thread, so that neighbours on the machine count less. Short traces are
/// run several times, each time from an empty cache.
double ns_an_access(make_policy make, const trace& t, std::size_t capacity) {
  const auto runs = 1 + 2'000'000 / t.accesses.size();
  double seconds = 0;
  for (std::size_t i = 0; i < runs; ++i) {
    const auto policy = make(t.keys, capacity);
    const auto begin = thread_seconds();
    static_cast<void>(miss_ratio(*policy, t));
    seconds += thread_seconds() - begin;
  }
  return seconds * 1e9 / static_cast<double>(runs * t.accesses.size());
}

void add_times(report& out, const std::vector<trace>& traces) {
  out.section("time of an access above S3-FIFO's, in turns");
  if (!out.wanted_section()) return;
  const int rounds = out.quick() ? 3 : 7;
  for (const auto& t : traces)
    for (const auto size : {0.01, 0.1, 0.2}) {
      const auto name = fmt::format("{}, {}", t.name, percent(size));
      const auto capacity = capacity_of(t, size);
      if (capacity < 10) continue;
      figure f{name, "ns", {}};
      std::vector<double> mine, theirs;
      for (int i = 0; i < rounds; ++i) {
        theirs.push_back(ns_an_access(make_s3_fifo, t, capacity));
        mine.push_back(ns_an_access(make_fitted_horizon, t, capacity));
        f.runs.push_back(mine.back() - theirs.back());
      }
      f.bar = 10;
      f.at_most = true;
      out.add(std::move(f));
      out.note(fmt::format("    {:.1f} ns, S3-FIFO {:.1f} ns", median(mine), median(theirs)));
    }
  out.note("thread CPU time; ours includes the sampling and the miniatures of the fitter");
}

void run(report& out, const part_options& options) {
  out.begin("event horizon: miss ratios behind a cache, unit sizes, beside known policies", 240);
  const auto traces = load(out, options);
  if (traces.empty()) return;
  const auto settings = 1 + warp::physics::fit_options{}.tried.size();
  out.setting("memory", fmt::format("2 bits a resident; 31 bits for each of at most 0.9 ghosts a "
                                    "resident; {} miniatures of 1 in {} keys",
                                    settings, warp::physics::fit_options{}.one_in));
  out.section("miss ratios");
  if (out.wanted_section()) {
    const auto cells = judge(out, traces);
    add_means(out, cells);
    add_cells(out, cells);
    add_checks(out, cells);
  }
  add_times(out, traces);
}

} // namespace

const part horizon_part{"horizon", "what stays in memory: miss ratios beside known policies", run};

} // namespace warp::bench::physics
