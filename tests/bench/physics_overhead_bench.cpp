// What it costs to be observed: tier T3 against T0, toggled in one process piece by piece, so that
// what the machine does meanwhile meets both. What learns works on what it was told a while ago, so
// its processor time is read from its own clocks, and all of it counts for T3.
#include "actors/universe.hpp"
#include "tests/bench/load.hpp"
#include "tests/bench/random.hpp"
#include "tests/bench/report.hpp"
#include "tests/support/temp_folder.hpp"

#include <spdlog/spdlog.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace {

using namespace warp;
using namespace warp::bench;

/// Checkpoints and the disk make slices of puts differ by far more than those of gets: so many
/// times as many are needed.
constexpr std::size_t put_slices = 4;
/// Slices are done in pieces, between those of the other tier: who shares the machine changes by
/// the second. The observer deals out its budget of samples every 50 ms, and a piece takes part in
/// two of these, so a second at T3 holds up to twice as many samples as one of many: the figures
/// are rather too high.
constexpr double piece_s = 0.05;

/// What was done at one tier.
struct slice {
  double operations = 0, seconds = 0;
  double callers_s = 0, others_s = 0; ///< processor time: of the calling threads, of all others
  void add(const timed_run& r) {
    operations += static_cast<double>(r.operations);
    seconds += r.seconds;
    callers_s += r.thread_cpu_seconds;
    others_s += r.used.cpu_seconds - r.thread_cpu_seconds;
  }
  [[nodiscard]] double rate_m() const { return operations / seconds / 1e6; }
  [[nodiscard]] double caller_ns() const { return callers_s / operations * 1e9; }
};

/// The middle, and how far off it may be by chance: 1.25 times the standard error of the mean, as a
/// median of as many values has it.
std::string middle_and_error(const std::vector<double>& v) {
  double mean = 0, squares = 0;
  for (const double x : v) mean += x / static_cast<double>(v.size());
  for (const double x : v) squares += (x - mean) * (x - mean);
  const double n = static_cast<double>(v.size());
  return std::to_string(median(v)) + " +- " +
         std::to_string(1.25 * std::sqrt(squares / (n - 1) / n)) + " %";
}

} // namespace

int main(int argc, char** argv) {
  report out{argc, argv, "physics_overhead_bench: what it costs to be observed, T3 against T0.\n"};
  spdlog::set_level(spdlog::level::warn);
  const std::size_t slices = out.quick() ? 8 : 60;
  const double slice_s = out.seconds(out.quick() ? 0.25 : 1);
  const auto pieces = std::max<std::size_t>(1, std::lround(slice_s / piece_s));
  const auto keys = out.keys(out.quick() ? 100'000 : 1'000'000);
  const unsigned threads = out.options().threads.empty() ? 1 : out.options().threads[0];
  out.begin("physics on against off: T3 against T0 in one process",
            (3 + put_slices) * static_cast<double>(slices) * slice_s + 40);
  out.setting("universe", std::to_string(keys) + " keys of 16 B, values of 100 B, log on");
  out.setting("slices", std::to_string(slices) + " of " + std::to_string(slice_s) +
                            " s for each load, " + std::to_string(put_slices) +
                            " times as many for puts; a run is a pair of them, T0 and T3, in " +
                            std::to_string(pieces) + " pieces each, in random order");
  out.setting("threads", std::to_string(threads));

  const testing::temp_folder folder;
  // T3 is on for half of each second: with half of what a second may have it takes as many samples
  // while it is on as it would if it always were.
  physics::observer_options observation;
  observation.samples_per_s_max /= 2;
  auto opened = universe::open({.engine = {.folder = folder.path(), .observation = observation}});
  if (!opened) {
    std::fprintf(stderr, "benchmark: %s\n", opened.status().to_string().c_str());
    return 1;
  }
  auto& db = **opened;
  {
    const std::string value(100, 'v');
    std::vector<key_text> names(256);
    std::vector<operation> puts(256);
    std::vector<storage::op_reply> replies(256);
    storage::value_arena arena;
    for (std::uint64_t at = 0; at < keys; at += 256) {
      for (std::size_t i = 0; i < 256; ++i) {
        names[i].set((at + i) % keys);
        puts[i] = {.kind = op_kind::put, .key = names[i].view(), .value = value, .request = {}};
      }
      db.engine().execute(puts, replies, arena);
    }
  }

  struct observed_load {
    std::string name;
    unsigned put_percent;
    std::size_t batch;
  };
  const observed_load loads[] = {{"get, single", 0, 1},
                                 {"get, batches of 16", 0, 16},
                                 {"get, batches of 256", 0, 256},
                                 {"put, single", 100, 1}};
  for (const auto& l : loads) {
    out.section(l.name);
    if (!out.wanted_section()) continue;
    const load what{
        .put_percent = l.put_percent, .batch = l.batch, .threads = threads, .keys = keys};
    std::vector<std::unique_ptr<load_thread>> workers;
    for (unsigned t = 0; t < threads; ++t)
      workers.push_back(std::make_unique<load_thread>(what, t));
    const auto run = [&](physics_tier tier) {
      db.set_physics_tier(tier);
      return run_threads(threads, piece_s,
                         [&](unsigned t) { return workers[t]->calls(db.engine(), 16); });
    };
    const auto physics_s = [&] { return db.physics_status().cpu_s + db.gpu_status().busy_cpu_s; };
    run(physics_tier::t3); // warm
    const auto before = db.physics_status();
    const auto before_s = physics_s();
    figure rate{
        .name = "operations a second lost", .unit = "%", .runs = {}, .bar = 2, .at_most = true};
    figure cpu{.name = "processor time of an operation gained",
               .unit = "%",
               .runs = {},
               .bar = 2,
               .at_most = true};
    std::vector<double> callers; // their own processor time of an operation, gained in percent
    double rates = 0;
    // By chance: checkpoints come round every few seconds, and turns of a fixed length would meet
    // them with one tier more than with the other for minutes.
    fast_random order{1};
    const auto pairs = slices / 2 * (l.put_percent != 0 ? put_slices : 1);
    for (std::size_t pair = 0; pair < pairs; ++pair) {
      slice off, on;
      const auto learned_s = physics_s();
      for (std::size_t piece = 0; piece < pieces; ++piece) {
        const bool off_first = order.below(2) == 0;
        (off_first ? off : on).add(run(off_first ? physics_tier::t0 : physics_tier::t3));
        (off_first ? on : off).add(run(off_first ? physics_tier::t3 : physics_tier::t0));
      }
      const auto learning_s = physics_s() - learned_s;
      // The log and whatever else there is: the same for each operation.
      const auto other_ns =
          (off.others_s + on.others_s - learning_s) / (off.operations + on.operations) * 1e9;
      const auto off_ns = off.caller_ns() + other_ns;
      const auto on_ns = on.caller_ns() + other_ns + learning_s / on.operations * 1e9;
      rate.runs.push_back(100 * (1 - on.rate_m() / off.rate_m()));
      cpu.runs.push_back(100 * (on_ns / off_ns - 1));
      callers.push_back(100 * (on.caller_ns() / off.caller_ns() - 1));
      rates += off.rate_m() / static_cast<double>(pairs);
    }
    const auto after = db.physics_status();
    const double on_for_s = piece_s * static_cast<double>(pairs * pieces);
    out.note("off: " + std::to_string(rates) + " M/s; samples a second while on: " +
             std::to_string(static_cast<double>(after.samples - before.samples) / on_for_s) +
             ", dropped in all: " + std::to_string(after.dropped - before.dropped));
    out.note("medians with their errors: rate " + middle_and_error(rate.runs) + ", cpu " +
             middle_and_error(cpu.runs) + ", of which the calling threads " +
             middle_and_error(callers));
    out.note("processor time of learning and jobs: " +
             std::to_string((physics_s() - before_s) / on_for_s * 1e3) + " ms a second while on");
    out.add(std::move(rate));
    out.add(std::move(cpu));
  }
  return 0;
}
