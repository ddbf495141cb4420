// The batches of gpu/: the CPU reference against its own scalar versions on one core, the graph
// operations against the rate of random 4-byte gathers, and what a start without a device costs.
// Devices are measured by tests/bench/gpu_on_device.

#include "gpu/answer_check.hpp"
#include "gpu/batch_rules.hpp"
#include "gpu/compute.hpp"
#include "gpu/judge_backend.hpp"
#include "gpu/sample_batch.hpp"
#include "physics/mixing.hpp"
#include "physics/quantum_walk.hpp"
#include "tests/bench/report.hpp"
#include "tests/bench/stopwatch.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <variant>
#include <vector>

namespace {

using namespace warp::bench;
using namespace warp::gpu;

constexpr std::string_view usage = R"(gpu_bench [--cpu] [OPTION...]
  --cpu           the CPU reference: all that is measured here
  --only PATTERN  only figures whose "section: name" matches the regular expression
  --quick         smaller: does it run at all?
  --json FILE     all figures and runs for programs
)";

/// Millions of units of work a second, best of the tries of one run: another process on the machine
/// can only make it slower.
double rate_of(backend& on, const any_batch& batch, double seconds) {
  const auto work =
      static_cast<double>(std::visit([](const auto& b) { return work_of(b); }, batch));
  double best = 0;
  const auto begin = std::chrono::steady_clock::now();
  do {
    const auto from = std::chrono::steady_clock::now();
    if (std::visit([&](const auto& b) { return on.run(b); }, batch) != outcome::done) return 0;
    best = std::max(best, work / seconds_since(from) / 1e6);
  } while (seconds_since(begin) < seconds);
  return best;
}

struct part {
  operation kind;
  const char* unit;
  std::uint64_t work;
  double bar; ///< of the speed-up; 0: none
};

void against_scalar(report& out) {
  out.section("CPU reference against its scalar version, one core");
  cpu_backend wide, one_lane{{.threads = 1, .level = cpu_level::one_lane}};
  judge_backend judge;
  out.note(
      fmt::format("reference: {}; scalar: the better one of the same loops one number at a time "
                  "and of the formulas in float64, both without vectorisation",
                  wide.name()));
  const double seconds = out.seconds(out.quick() ? 0.02 : 0.2);
  const int runs = out.quick() ? 1 : 5;
  // In the second cache: what is compared is computing, not the memory that both share.
  for (const auto& p : {
           part{operation::gravity, "M pairs/s", 100'000, 4},
           part{operation::entropy, "M buckets/s", 65'536, 4},
           part{operation::evolution, "M states/s", 32'768, 4},
           part{operation::walk, "M links/s", 4'000'000, 0},
           part{operation::heat, "M links/s", 100'000, 0},
           part{operation::score, "M weights/s", 1'000'000, 0},
           part{operation::train, "M weights/s", 1'000'000, 0},
           part{operation::column, "M values/s", 65'536, 0},
       }) {
    const std::string name{to_string(p.kind)};
    if (!out.wanted(name)) continue;
    const sample_batch sample{p.kind, p.work, 1};
    figure f{.name = name, .unit = p.unit, .peer = "scalar", .ratio_bar = p.bar};
    for (int r = 0; r < runs; ++r) {
      f.runs.push_back(rate_of(wide, sample.batch(), seconds));
      f.peer_runs.push_back(std::max(rate_of(one_lane, sample.batch(), seconds),
                                     rate_of(judge, sample.batch(), seconds)));
    }
    out.add(std::move(f));
  }
}

/// Random reads of 4 bytes from a vector of so many, their places known beforehand, as in a graph.
double gathers_m(std::size_t values, double seconds) {
  warp::physics::mixed_sequence random{3};
  std::vector<float> value(values, 1);
  std::vector<std::uint32_t> at(values * 4);
  for (auto& a : at) a = random.below(values);
  double best = 0;
  const auto begin = std::chrono::steady_clock::now();
  do {
    float sum[8] = {};
    const auto from = std::chrono::steady_clock::now();
    for (std::size_t i = 0; i + 8 <= at.size(); i += 8)
      for (std::size_t k = 0; k < 8; ++k) sum[k] += value[at[i + k]];
    best = std::max(best, static_cast<double>(at.size()) / seconds_since(from) / 1e6);
    for (auto& s : sum) asm volatile("" : : "g"(s));
  } while (seconds_since(begin) < seconds);
  return best;
}

void graphs(report& out) {
  out.section("graph operations against random gathers of 4 bytes, one core");
  const double seconds = out.seconds(out.quick() ? 0.05 : 0.5);
  const std::size_t nodes = out.quick() ? 20'000 : 1'000'000;
  if (!out.wanted_any({"heat", "walk, one source", "walk, 16 sources"})) return;
  const auto columns = random_graph(nodes, 16, 5);
  const auto graph = columns.view();
  const auto links = static_cast<double>(graph.to.size());
  const double limit = gathers_m(nodes, seconds);
  out.note(
      fmt::format("{} nodes, {:.0f} links; gathers from a vector of as many floats: {:.0f} M/s",
                  nodes, links, limit));
  cpu_backend cpu;
  const auto share = [&](const char* name, const auto& b, double gathers) {
    if (!out.wanted(name)) return;
    figure f{.name = name, .unit = "M gathers/s", .peer = "gathers"};
    for (int r = 0; r < (out.quick() ? 1 : 3); ++r) {
      double best = 0;
      for (int tries = 0; tries < 3; ++tries) {
        const auto from = std::chrono::steady_clock::now();
        if (cpu.run(b) != outcome::done) return;
        best = std::max(best, gathers / seconds_since(from) / 1e6);
      }
      f.runs.push_back(best);
      f.peer_runs.push_back(gathers_m(nodes, seconds / 3));
    }
    out.add(std::move(f));
  };
  const std::vector<float> temperature(nodes, 1);
  std::vector<float> after(nodes);
  heat_batch heat{graph, temperature, {}, after};
  heat.settings = {.conductivity = 1e-4, .decay_per_s = 0, .dt_s = 1}; // one step
  share("heat", heat, links);
  const std::vector<std::uint32_t> source{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
  std::vector<float> probability(source.size() * nodes);
  const auto terms = static_cast<double>(warp::physics::walk_coefficients(1).size() - 1);
  walk_batch walk{graph, std::span{source}.first(1), 1, std::span{probability}.first(nodes)};
  share("walk, one source", walk, links * terms);
  walk.source = source;
  walk.probability = probability;
  share("walk, 16 sources", walk, links * terms * 16);
}

void threads(report& out) {
  out.section("CPU reference on all cores against one");
  const unsigned cores = std::max(std::thread::hardware_concurrency(), 1u);
  cpu_backend one, all{{.threads = cores}};
  const double seconds = out.seconds(out.quick() ? 0.02 : 0.2);
  for (const auto kind : {operation::gravity, operation::entropy, operation::evolution,
                          operation::heat, operation::horizon}) {
    const std::string name{to_string(kind)};
    if (!out.wanted(name)) continue;
    const sample_batch sample{kind, out.quick() ? 100'000u : 4'000'000u, 1};
    figure f{.name = name, .unit = "M units/s", .peer = "one core"};
    for (int r = 0; r < (out.quick() ? 1 : 3); ++r) {
      f.runs.push_back(rate_of(all, sample.batch(), seconds));
      f.peer_runs.push_back(rate_of(one, sample.batch(), seconds));
    }
    out.add(std::move(f));
  }
}

void start(report& out) {
  out.section("without a device");
  if (out.wanted("start, to be ready")) {
    figure f{.name = "start, to be ready", .unit = "ms", .bar = 1, .at_most = true};
    for (int r = 0; r < 5; ++r) {
      const auto from = std::chrono::steady_clock::now();
      compute door{{.cpu = {.threads = std::max(std::thread::hardware_concurrency(), 1u)}}};
      static_cast<void>(door.calibrate({}, [] { return 0.0; }));
      f.runs.push_back(seconds_since(from) * 1e3);
    }
    out.add(std::move(f));
  }
  if (out.wanted("gravity of 1000 groups x 64 places, dispatch to result")) {
    compute door;
    const sample_batch sample{operation::gravity, 999 * 64, 1};
    figure f{.name = "gravity of 1000 groups x 64 places, dispatch to result", .unit = "us"};
    for (int r = 0; r < 5; ++r) {
      double best = 1e9;
      for (int i = 0; i < 50; ++i) {
        const auto from = std::chrono::steady_clock::now();
        std::visit([&](const auto& b) { static_cast<void>(door.run(b, 0)); }, sample.batch());
        best = std::min(best, seconds_since(from) * 1e6);
      }
      f.runs.push_back(best);
    }
    out.add(std::move(f));
  }
}

} // namespace

int main(int argc, char** argv) {
  std::vector<char*> rest{argv[0]};
  for (int i = 1; i < argc; ++i)
    if (std::string_view{argv[i]} != "--cpu") rest.push_back(argv[i]);
  report out{static_cast<int>(rest.size()), rest.data(), usage};
  out.begin("batches of gpu/ on the CPU", 90);
  compute door;
  out.setting("backends", [&] {
    auto text = door.status();
    std::ranges::replace(text, '\n', ';');
    return text;
  }());
  against_scalar(out);
  graphs(out);
  threads(out);
  start(out);
}
