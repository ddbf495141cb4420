// Every backend of this machine against the judge, on random cases: the CPU reference at each
// width, the device's kernels run on the CPU, and the devices themselves. A program of its own that
// needs no test library, for machines that have none: code 0 when all agree, 1 at the first
// difference.

#include "gpu/answer_check.hpp"
#include "gpu/batch_rules.hpp"
#include "gpu/cpu_backend.hpp"
#include "gpu/cuda/device_backend.hpp"
#include "gpu/find_devices.hpp"
#include "gpu/judge_backend.hpp"
#include "tests/gpu/emulated_device.hpp"
#include "tests/gpu/random_batch.hpp"

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <string>
#include <variant>
#include <vector>

namespace {

using namespace warp::gpu;
using warp::physics::mixed_sequence;

/// A case of one operation: empty when the backend agrees with the judge.
std::string difference_of(backend& on, const any_batch& batch) {
  return std::visit(
      [&](const auto& b) -> std::string {
        judge_backend judge;
        if (!valid(b)) return "the case is not valid";
        if (judge.run(b) != outcome::done) return "the judge failed";
        const poisoned own{b};
        if (const auto what = on.run(own.batch); what != outcome::done)
          return "it failed with code " + std::to_string(static_cast<int>(what));
        return differs(b, own.batch).value_or("");
      },
      batch);
}

bool agrees(backend& on, const std::vector<std::uint32_t>& sizes, int rounds, std::uint64_t seed) {
  std::printf("%s:\n ", on.name().c_str());
  for (std::size_t k = 0; k < operations; ++k) {
    const auto kind = static_cast<operation>(k);
    mixed_sequence random{seed + k};
    int cases = 0;
    for (int round = 0; round < rounds; ++round)
      for (const auto size : sizes) {
        const random_batch original{kind, size, random};
        const auto difference = difference_of(on, original.batch());
        ++cases;
        if (difference.empty()) continue;
        std::printf("\n  DIFFERENT: %s, case %d, size %u: %s\n", to_string(kind).data(), cases,
                    size, difference.c_str());
        return false;
      }
    std::printf(" %s %d", to_string(kind).data(), cases);
    std::fflush(stdout);
  }
  std::printf(" cases: the same\n");
  return true;
}

} // namespace

int main(int argc, char** argv) {
  if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
    std::printf("gpu_check [SEED]\n");
    return 2;
  }
  const std::uint64_t seed =
      argc == 2 ? std::strtoull(argv[1], nullptr, 0) : std::random_device{}();
  std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
  const std::vector<std::uint32_t> small{0, 1, 2, 3, 7, 31, 61};
  const std::vector<std::uint32_t> all{0, 1, 2, 3, 5, 7, 31, 32, 33, 61, 127, 257, 1009, 4099};
  for (const auto level : {cpu_level::one_lane, cpu_level::portable, best_level()}) {
    cpu_backend cpu{{.threads = 2, .level = level}};
    if (!agrees(cpu, all, 1, seed)) return 1;
  }
  device_backend emulated{std::make_unique<emulated_runtime>(std::make_shared<emulation>()),
                          emulated_kernels(),
                          {.slot_bytes = 4096}};
  if (!agrees(emulated, small, 1, seed)) return 1;
  const auto devices = find_devices();
  for (const auto& d : devices.found)
    if (!agrees(*d, all, 3, seed)) return 1;
  if (devices.found.empty())
    std::printf("SKIPPED on a device: %s\n", devices.said.c_str());
  else if (!devices.said.empty())
    std::printf("%s\n", devices.said.c_str());
}
