#include "gpu/cuda/device_backend.hpp"

#include "gpu/answer_check.hpp"
#include "gpu/batch_rules.hpp"
#include "gpu/judge_backend.hpp"
#include "tests/gpu/emulated_device.hpp"
#include "tests/gpu/random_batch.hpp"

#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>

#include <array>
#include <memory>

using namespace warp::gpu;
using warp::physics::mixed_sequence;

namespace {

constexpr std::array sizes{0u, 1u, 2u, 3u, 7u, 31u, 32u, 33u, 61u, 127u, 257u};

struct device {
  std::shared_ptr<emulation> script = std::make_shared<emulation>();
  device_backend backend;

  explicit device(const device_options& options = {.slot_bytes = 4096})
      : backend(std::make_unique<emulated_runtime>(script), emulated_kernels(), options) {}
};

template <class Batch>
void judge_one(device& d, const Batch& b) {
  judge_backend judge;
  REQUIRE(valid(b));
  REQUIRE(judge.run(b) == outcome::done);
  const poisoned own{b};
  REQUIRE(d.backend.run(own.batch) == outcome::done);
  const auto difference = differs(b, own.batch);
  INFO(difference.value_or("the same"));
  REQUIRE(!difference);
}

void judge_all(operation kind, int rounds, std::size_t largest = sizes.back()) {
  device d;
  mixed_sequence random{Catch::getSeed() + static_cast<std::uint64_t>(kind)};
  for (int round = 0; round < rounds; ++round)
    for (const auto size : sizes) {
      if (size > largest) continue;
      const random_batch original{kind, size, random};
      CAPTURE(to_string(kind), round, size);
      std::visit([&](const auto& b) { judge_one(d, b); }, original.batch());
    }
}

} // namespace

TEST_CASE("the gravity kernels answer as the judge does, run on the CPU", "[gpu][kernels]") {
  judge_all(operation::gravity, 3);
}
TEST_CASE("the entropy kernels answer as the judge does, run on the CPU", "[gpu][kernels]") {
  judge_all(operation::entropy, 2);
}
TEST_CASE("the walk kernels answer as the judge does, run on the CPU", "[gpu][kernels]") {
  judge_all(operation::walk, 1, 61);
}
TEST_CASE("the evolution kernels answer as the judge does, run on the CPU", "[gpu][kernels]") {
  judge_all(operation::evolution, 20);
}
TEST_CASE("the heat kernels answer as the judge does, run on the CPU", "[gpu][kernels]") {
  judge_all(operation::heat, 2);
}
TEST_CASE("the horizon kernels count what the horizon itself does, run on the CPU",
          "[gpu][kernels]") {
  judge_all(operation::horizon, 4);
}
TEST_CASE("the score kernels answer as the judge does, run on the CPU", "[gpu][kernels]") {
  judge_all(operation::score, 3);
}
TEST_CASE("the train kernels answer as the judge does, run on the CPU", "[gpu][kernels]") {
  judge_all(operation::train, 3);
}
TEST_CASE("the column kernels answer as the judge does, run on the CPU", "[gpu][kernels]") {
  judge_all(operation::column, 4);
}
