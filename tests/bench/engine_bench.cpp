// The engine in process, with its log on and checkpoints as they become due: get, put, delete and
// mixed loads, single and in batches, uniform and skewed, on 1 to 16 threads, small and large; each
// durability level. Beside it std::unordered_map behind mutexes, which logs nothing.
//
// Not the full cross product: the cells that bars name, and sweeps of one dimension each around the
// default (1 M keys, 16 B + 100 B, uniform, async, 1 thread).

#include "tests/bench/hardware.hpp"
#include "tests/bench/live_engine.hpp"
#include "tests/bench/load.hpp"
#include "tests/bench/map_store.hpp"
#include "tests/bench/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace {

using namespace warp;
using namespace warp::bench;

constexpr auto usage = R"(engine_bench [OPTION...]
  --keys N        keys, default 1000000 (bars are for that)
  --value N       bytes of a value, default 100
  --threads LIST  for the section on threads, default 1,2,4,8,16
  --only PATTERN  only figures whose "section: name" matches the regular expression; of the sections
                  on threads, those whose title matches
  --seconds S     of one run, default 1.5
  --quick         short runs, no peer at 10 M keys
  --json FILE     all figures and runs for programs
)";

constexpr std::uint64_t many_keys = 10'000'000;

const char* workload_name(const load& l) {
  if (l.kind == load::mix::erase_and_insert) return "delete and insert again";
  switch (l.put_percent) {
  case 0:
    return "get";
  case 100:
    return "put";
  case 5:
    return "95 get / 5 put";
  default:
    return "50 get / 50 put";
  }
}

std::string cell_name(const load& l) {
  return fmt::format("{}, {}", workload_name(l),
                     l.batch == 1 ? "single" : fmt::format("batches of {}", l.batch));
}

/// One engine, its peer with the same keys, and the runs of a cell in turns.
class house {
public:
  house(report& out, std::uint64_t keys, std::size_t value_bytes, bool with_peer)
      : out_(out), keys_(keys), value_bytes_(value_bytes) {
    fill(*db_, keys, value_bytes);
    if (with_peer) {
      peer_ = std::make_unique<map_store>(keys);
      fill(*peer_, keys, value_bytes);
    }
    db_.settle();
  }

  timed_run run(load l) {
    l.keys = keys_;
    l.value_bytes = value_bytes_;
    const auto done = drive(*db_, l, seconds());
    db_.settle();
    return done;
  }
  double peer_run(load l) {
    l.keys = keys_;
    l.value_bytes = value_bytes_;
    return drive(*peer_, l, seconds()).rate_m();
  }

  /// A figure of the rate, with the peer's beside it: measured in turns when the load is single,
  /// and taken from there for its batches, since a map has none. Tells what an operation took of
  /// the processors.
  void cell(const load& l, double bar = 0, double goal = 0, const std::string& suffix = {}) {
    const auto name = cell_name(l) + suffix;
    if (!out_.wanted(name)) return;
    const bool synced = l.level == durability::sync; // a map that keeps nothing is no peer
    figure f{.name = name, .unit = synced ? "k/s" : "M/s", .bar = bar, .goal = goal, .peer = "map"};
    const auto key = fmt::format("{}/{}/{}", workload_name(l), l.skew != nullptr, l.threads);
    auto& peer = peer_runs_[key];
    const bool measure_peer = peer_ && peer.empty() && !synced;
    auto alone = l;
    alone.batch = 1;
    for (int i = 0; i < repeats(); ++i) {
      f.runs.push_back(run(l).rate_m() * (synced ? 1e3 : 1));
      if (measure_peer) peer.push_back(peer_run(alone));
    }
    if (!synced) f.peer_runs = peer;
    out_.add(std::move(f));
  }

  [[nodiscard]] double seconds() const { return out_.seconds(out_.quick() ? 0.25 : 1.5); }
  [[nodiscard]] int repeats() const { return out_.quick() ? 2 : 3; }
  live_engine& db() { return db_; }

private:
  report& out_;
  std::uint64_t keys_;
  std::size_t value_bytes_;
  live_engine db_;
  std::unique_ptr<map_store> peer_;
  std::map<std::string, std::vector<double>> peer_runs_;
};

/// The loop without a store: it is part of every figure below.
void generator_alone(report& out, std::uint64_t keys, double seconds,
                     const std::vector<std::uint32_t>& skewed) {
  out.section("the generator alone: contained in every figure below, subtracted from none");
  empty_store nothing;
  for (const std::size_t batch : {1u, 256u})
    for (const unsigned puts : {0u, 50u})
      for (const bool zipf : {false, true}) {
        const load l{
            .put_percent = puts, .batch = batch, .keys = keys, .skew = zipf ? &skewed : nullptr};
        const auto name = cell_name(l) + (zipf ? ", zipf 0.99" : "");
        if (!out.wanted(name)) continue;
        figure f{.name = name, .unit = "ns"};
        for (int i = 0; i < 3; ++i) f.runs.push_back(drive(nothing, l, seconds / 3).cpu_ns());
        out.add(std::move(f));
      }
}

void one_thread(report& out, house& h, bool usual, const std::vector<std::uint32_t>& skewed) {
  const auto bar = [&](double value) { return usual ? value : 0; };
  out.section("1 thread, uniform");
  for (const unsigned puts : {0u, 100u, 5u, 50u})
    for (const std::size_t batch : {1u, 32u, 256u}) {
      const bool get = puts == 0, put = puts == 100;
      const double mark = batch == 1     ? (get   ? 6
                                            : put ? 3
                                                  : 0)
                          : batch == 256 ? (get   ? 15
                                            : put ? 6
                                                  : 0)
                                         : 0;
      const double goal = batch == 256 ? (get ? 20 : put ? 8 : 0) : 0;
      h.cell({.put_percent = puts, .batch = batch}, bar(mark), bar(goal));
    }
  for (const std::size_t batch : {1u, 32u, 256u})
    h.cell({.kind = load::mix::erase_and_insert, .batch = batch});

  out.section("1 thread, zipf 0.99");
  for (const unsigned puts : {0u, 100u, 5u, 50u})
    for (const std::size_t batch : {1u, 256u})
      h.cell({.put_percent = puts, .batch = batch, .skew = &skewed});
}

void durability_levels(report& out, house& h) {
  out.section("durability: memory is not logged, async is logged and on disk within 100 ms, sync "
              "waits for the disk");
  for (const auto& [level, name] : {std::pair{durability::memory, ", memory"},
                                    {durability::async, ", async"},
                                    {durability::sync, ", sync"}})
    for (const std::size_t batch : {1u, 256u})
      h.cell({.put_percent = 100, .batch = batch, .level = level}, 0, 0, name);
  h.cell({.put_percent = 100, .threads = 16, .level = durability::sync}, 0, 0,
         ", sync, 16 threads");
}

/// Rates with each number of threads, taken in turns; then their ratios, run by run.
void more_threads(report& out, house& h, const std::vector<unsigned>& counts) {
  const bool compare = std::find(counts.begin(), counts.end(), 1u) != counts.end() &&
                       std::find(counts.begin(), counts.end(), 2u) != counts.end();
  for (const std::size_t batch : {1u, 256u})
    for (const unsigned puts : {0u, 100u, 50u}) {
      load l{.put_percent = puts, .batch = batch};
      out.section(fmt::format("threads: {}", cell_name(l)));
      if (!out.wanted_section()) continue;
      std::map<unsigned, std::vector<timed_run>> runs;
      for (int i = 0; i < h.repeats(); ++i)
        for (const auto threads : counts) {
          l.threads = threads;
          runs[threads].push_back(h.run(l));
        }
      for (const auto threads : counts) {
        figure rate{.name = fmt::format("{} threads", threads), .unit = "M/s"};
        figure cpu{.name = fmt::format("{} threads, CPU per operation", threads), .unit = "ns"};
        for (const auto& r : runs[threads]) {
          rate.runs.push_back(r.rate_m());
          cpu.runs.push_back(r.cpu_ns());
        }
        out.add(std::move(rate));
        out.add(std::move(cpu));
      }
      if (!compare) continue;
      figure speed{.name = "rate, 2 over 1",
                   .unit = "x",
                   .bar = puts == 0 ? 1.6 : 1.4,
                   .goal = puts == 0 ? 1.8 : 1.6};
      figure cost{.name = "CPU per operation, 2 over 1", .unit = "x", .bar = 1.2, .at_most = true};
      for (std::size_t i = 0; i < runs[1].size(); ++i) {
        speed.runs.push_back(runs[2][i].rate_m() / runs[1][i].rate_m());
        cost.runs.push_back(runs[2][i].cpu_ns() / runs[1][i].cpu_ns());
      }
      out.add(std::move(speed));
      out.add(std::move(cost));
      for (const auto threads : counts) {
        if (threads <= 2) continue;
        figure kept{.name = fmt::format("rate, {} over 2", threads), .unit = "x", .bar = 0.9};
        for (std::size_t i = 0; i < runs[2].size(); ++i)
          kept.runs.push_back(runs[threads][i].rate_m() / runs[2][i].rate_m());
        out.add(std::move(kept));
      }
    }
}

} // namespace

int main(int argc, char** argv) {
  report out{argc, argv, usage};
  const std::uint64_t keys = out.keys(1'000'000);
  const std::size_t value_bytes = out.options().value_bytes ? out.options().value_bytes : 100;
  const bool usual = keys == 1'000'000 && value_bytes == 100;
  auto counts = out.options().threads;
  if (counts.empty()) counts = {1, 2, 4, 8, 16};

  const double run_seconds = out.seconds(out.quick() ? 0.25 : 1.5);
  out.begin("the engine in process, log on", 30 + run_seconds * (out.quick() ? 2 : 3) * 100);
  out.setting("engine", fmt::format("{} keys of 16 B, values of {} B, 64 shards, default options: "
                                    "writes async unless said, checkpoints when due",
                                    keys, value_bytes));
  out.setting("runs", fmt::format("{} of {} s each, in turns with the peer", out.quick() ? 2 : 3,
                                  run_seconds));
  out.setting("peer", "map: std::unordered_map<std::string, std::string> in 64 pieces with a "
                      "std::mutex each, space reserved, no log; without batches");
  out.setting("data folder", file_system_name(testing::temp_folder{}.path()));

  {
    const auto skewed = zipf_list(keys, 0.99, 4'000'000);
    generator_alone(out, keys, run_seconds, skewed);
    house h{out, keys, value_bytes, true};
    one_thread(out, h, usual, skewed);
    durability_levels(out, h);
    more_threads(out, h, counts);
  }
  const auto other_size = [&](std::uint64_t n, std::size_t bytes, const std::string& title,
                              double get_bar, double get_goal, bool with_peer) {
    out.section(title);
    if (!out.wanted_any(
            {"get, single", "get, batches of 256", "put, single", "put, batches of 256"}))
      return;
    house h{out, n, bytes, with_peer};
    for (const unsigned puts : {0u, 100u})
      for (const std::size_t batch : {1u, 256u}) {
        const bool barred = puts == 0 && batch == 256;
        h.cell({.put_percent = puts, .batch = batch}, barred ? get_bar : 0, barred ? get_goal : 0);
      }
  };
  if (!out.options().value_bytes)
    other_size(keys, 1'024, fmt::format("1 thread, {} keys, values of 1 KB", keys), 0, 0, true);
  if (!out.options().keys)
    other_size(many_keys, value_bytes, fmt::format("1 thread, {} keys", many_keys), usual ? 10 : 0,
               usual ? 13 : 0, !out.quick());
  return 0;
}
