// The batches of gpu/ on a device: each beside the limit that binds it (copy bandwidth, arithmetic,
// random gathers, measured on the same device) and beside the CPU reference on all cores. It needs
// nothing but the libraries of gpu/. tests/bench/gpu_on_device builds and runs it.

#include "gpu/batch_rules.hpp"
#include "gpu/cpu_backend.hpp"
#include "gpu/cuda/cuda_devices.hpp"
#include "gpu/sample_batch.hpp"
#include "physics/heat.hpp"
#include "physics/quantum_walk.hpp"
#include "tests/bench/gpu/ceilings.cuh"
#include "tests/bench/stopwatch.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <thread>
#include <variant>
#include <vector>

namespace {

using namespace warp::bench;
using namespace warp::gpu;

/// What a batch costs at least: each byte of it once through memory, and what is done with it.
struct cost {
  double bytes = 0, operations = 0, gathers = 0;
};

double size_of(std::size_t count) {
  return static_cast<double>(count);
}

cost cost_of(const gravity_batch& b) {
  const double pairs = size_of(b.weight_to_place.size());
  return {4 * pairs + 16 * size_of(b.mass.size()), 7 * pairs, 0};
}
cost cost_of(const entropy_batch& b) {
  const double buckets = size_of(b.load.size());
  return {8 * buckets + 32 * size_of(b.segments()), 18 * buckets, 0};
}
cost cost_of(const walk_batch& b) { // read for each term: the links, and a line for each of them
  const double terms = size_of(warp::physics::walk_coefficients(b.time).size() - 1);
  const double links = size_of(b.graph.to.size()), values = size_of(b.graph.nodes());
  const double walks = size_of(b.source.size());
  return {terms * (links * (8 + 4 * walks) + values * (8 + 20 * walks)),
          terms * walks * (2 * links + 4 * values), 0};
}
cost cost_of(const evolution_batch& b) {
  const double states = size_of(b.amplitude.size());
  return {24 * states, 45 * states, 0};
}
cost cost_of(const heat_batch& b) { // one step
  const double links = size_of(b.graph.to.size()), nodes = size_of(b.graph.nodes());
  return {8 * links + 20 * nodes, 3 * links + 3 * nodes, links};
}
cost cost_of(const horizon_batch&) {
  return {}; // a chain of decisions: no limit of the device binds it
}
cost cost_of(const score_batch& b) {
  const double features = size_of(b.features.size());
  return {4 * features + 4 * size_of(b.score.size()), 2 * features * size_of(b.shape.classes), 0};
}
cost cost_of(const train_batch& b) {
  const double features = size_of(b.features.size());
  return {4 * features + 4 * size_of(b.right.size()), 4 * features * size_of(b.shape.classes), 0};
}
cost cost_of(const column_batch& b) {
  return {8 * size_of(b.value.size()), 6 * size_of(b.value.size()), 0};
}

struct part {
  operation kind;
  std::uint64_t work;
};

const char* unit_of(operation kind) {
  switch (kind) {
  case operation::gravity:
    return "pairs";
  case operation::entropy:
    return "buckets";
  case operation::walk:
    return "links x 22";
  case operation::evolution:
    return "states";
  case operation::heat:
    return "links";
  case operation::horizon:
    return "accesses";
  case operation::score:
  case operation::train:
    return "weights";
  case operation::column:
    return "values";
  }
  return "";
}

double quickest(backend& on, const any_batch& batch, int tries) {
  double best = 0;
  for (int i = 0; i < tries; ++i) {
    const auto from = std::chrono::steady_clock::now();
    if (std::visit([&](const auto& b) { return on.run(b); }, batch) != outcome::done) return 0;
    const double took = seconds_since(from);
    best = best == 0 ? took : std::min(best, took);
  }
  return best;
}

/// One line of the table; false: the device failed.
bool print_operation(device_backend& device, cpu_backend& cpu, const device_ceilings& limits,
                     const part& p) {
  const sample_batch sample{p.kind, p.work, 1};
  device.measure(10);
  if (quickest(device, sample.batch(), 1) == 0) {
    std::printf("| %s | the device failed |\n", to_string(p.kind).data());
    device.measure(0);
    return false;
  }
  const auto times = device.times();
  device.measure(0);
  const double whole = quickest(device, sample.batch(), 3);
  const double by_cpu = quickest(cpu, sample.batch(), 2);
  const auto c = std::visit([](const auto& b) { return cost_of(b); }, sample.batch());
  const struct {
    const char* name;
    double seconds;
  } bound[] = {{"copy", c.bytes / limits.copy_bytes_s},
               {"arithmetic", c.operations / limits.operations_s},
               {"gathers", c.gathers / limits.gathers_s}};
  const auto* const binding = std::ranges::max_element(
      bound, [](const auto& a, const auto& b) { return a.seconds < b.seconds; });
  const auto work =
      static_cast<double>(std::visit([](const auto& b) { return work_of(b); }, sample.batch()));
  std::printf("| %s, %.3g M %s | %.3f ms | %.3g MB | %.3g M |", to_string(p.kind).data(),
              work / 1e6, unit_of(p.kind), times.compute_s * 1e3, c.bytes / 1e6,
              c.operations / 1e6);
  if (binding->seconds > 0)
    std::printf(" %s, %.0f %% |", binding->name, 100 * binding->seconds / times.compute_s);
  else
    std::printf(" - |");
  std::printf(" %.1f ms, %.1fx | %.2f ms + %.2f ms | %.1f ms, %.1fx |\n", by_cpu * 1e3,
              by_cpu / times.compute_s, times.up_s * 1e3, times.down_s * 1e3, whole * 1e3,
              by_cpu / whole);
  std::fflush(stdout);
  return true;
}

void print_latency(device_backend& device, cpu_backend& cpu) {
  const sample_batch sample{operation::gravity, 999 * 64, 1};
  const auto run = [&](backend& on) {
    std::vector<double> us;
    for (int i = 0; i < 300; ++i) {
      const double took = quickest(on, sample.batch(), 1);
      if (i >= 20) us.push_back(took * 1e6);
    }
    std::ranges::sort(us);
    return std::pair{us[us.size() / 2], us[us.size() * 99 / 100]};
  };
  const auto [median, late] = run(device);
  const auto [cpu_median, cpu_late] = run(cpu);
  std::printf(
      "\ngravity of 1000 groups x 64 places, dispatch to result, transfers included: median "
      "%.0f us, 99 of 100 within %.0f us; CPU reference %.0f us, %.0f us\n",
      median, late, cpu_median, cpu_late);
}

} // namespace

int main(int argc, char**) {
  if (argc > 1) {
    std::printf("gpu_on_device_bench, without options: prints a table for RESULTS.md\n");
    return 2;
  }
  auto devices = measurable_cuda_devices();
  if (devices.found.empty()) {
    std::printf("nothing was measured: %s\n", devices.said.c_str());
    return 1;
  }
  auto& device = *devices.found.front();
  cpu_backend cpu{{.threads = std::max(std::thread::hardware_concurrency(), 1u)}};
  constexpr std::uint64_t heat_work = 17 << 21;
  const auto limits = measured_ceilings(heat_work / 17);
  std::printf("device: %s\nbeside: %s\n", device.name().c_str(), cpu.name().c_str());
  if (limits.copy_bytes_s == 0 || limits.operations_s == 0 || limits.gathers_s == 0) {
    std::printf("nothing was measured: the device failed at its own limits\n");
    return 1;
  }
  std::printf(
      "limits: copies %.0f GB/s (read and written), arithmetic %.2f T float32 operations/s, "
      "gathers of 4 bytes from %.3g M values %.2f G/s\n\n",
      limits.copy_bytes_s / 1e9, limits.operations_s / 1e12,
      static_cast<double>(limits.gather_values) / 1e6, limits.gathers_s / 1e9);
  std::printf(
      "| operation | time, data on the device | bytes | operations | binding limit, share | "
      "CPU, speed-up | transfers | all in all, speed-up |\n|---|---|---|---|---|---|---|---|\n");
  bool good = true;
  for (const auto& p : {
           part{operation::gravity, 1 << 27},
           part{operation::entropy, 1 << 26},
           part{operation::evolution, 1 << 25},
           part{operation::heat, heat_work},
           part{operation::walk, std::uint64_t{1} << 32},
           part{operation::horizon, 5 << 18},
           part{operation::score, 1 << 28},
           part{operation::train, 1 << 28},
           part{operation::column, 1 << 26},
       })
    good = print_operation(device, cpu, limits, p) && good;
  print_latency(device, cpu);
  return good ? 0 : 1;
}
