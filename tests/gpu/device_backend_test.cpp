#include "gpu/cuda/device_backend.hpp"

#include "gpu/answer_check.hpp"
#include "gpu/batch_rules.hpp"
#include "gpu/cuda/angle.cuh"
#include "gpu/find_devices.hpp"
#include "gpu/judge_backend.hpp"
#include "tests/gpu/emulated_device.hpp"
#include "tests/gpu/random_batch.hpp"

#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <memory>
#include <numeric>
#include <string>
#include <vector>

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

// -- shapes that random cases seldom have ---------------------------------------------------------

TEST_CASE("a device names the hardest of many places in order, of equals the first",
          "[gpu][kernels]") {
  device d{{}};
  for (const std::size_t places : {1u, 33u, 64u, 1025u, 2052u})
    for (const std::size_t top : {0u, 1u, 33u, 70u})
      for (const bool field : {false, true}) {
        constexpr std::size_t groups = 3;
        std::vector<float> mass{2, 0, 1e-40f}, all(groups, 100), weight(groups * places);
        std::vector<float> capacity(places, 1), load(places, 0), score(groups * top);
        std::vector<float> out(field ? groups * places : 0);
        std::vector<std::uint32_t> place(groups * top);
        for (std::size_t i = 0; i < weight.size(); ++i)
          weight[i] = static_cast<float>(i * 7919 % 5); // many alike
        gravity_batch b{mass, all, weight, capacity, load, 0.05f, top, place, score, out};
        CAPTURE(places, top, field);
        judge_one(d, b);
        if (top == 0) continue;
        REQUIRE(d.backend.run(b) == outcome::done);
        std::vector<std::uint32_t> order(places);
        std::iota(order.begin(), order.end(), 0u);
        std::ranges::stable_sort(order, [&](auto x, auto y) { return weight[x] > weight[y]; });
        for (std::size_t k = 0; k < std::min(top, places); ++k) REQUIRE(place[k] == order[k]);
      }
}

TEST_CASE("segments of any length next to each other keep their sums apart", "[gpu][kernels]") {
  device d{{}};
  const std::vector<std::uint64_t> first{0,    0,    1,      4,      2047,   2048,  2048,
                                         4096, 4096, 40'000, 40'001, 60'000, 60'000};
  std::vector<float> load(first.back()), capacity(first.back());
  for (std::size_t i = 0; i < load.size(); ++i) {
    load[i] = static_cast<float>(i * 131 % 97);
    capacity[i] = 1 + static_cast<float>(i % 7);
  }
  std::vector<double> bits(first.size() - 1), even(bits), apart(bits);
  judge_one(d, entropy_batch{first, load, capacity, bits, even, apart});
  // So little and so much that float has no digits for the sums.
  for (const float scale : {1e-36f, 1e30f}) {
    auto scaled = load;
    for (auto& l : scaled) l *= scale;
    judge_one(d, entropy_batch{first, scaled, capacity, bits, even, apart});
  }
}

TEST_CASE("a node with thousands of links is no different", "[gpu][kernels]") {
  device d{{}};
  const std::uint32_t leaves = 4200;
  std::vector<std::uint64_t> first{0};
  std::vector<std::uint32_t> to;
  std::vector<float> weight;
  for (std::uint32_t node = 0; node <= leaves; ++node) { // node 300 is the hub
    if (node == 300)
      for (std::uint32_t l = 0; l <= leaves; ++l) {
        if (l == 300) continue;
        to.push_back(l);
        weight.push_back(0.001f + static_cast<float>(l % 3) * 0.001f);
      }
    else {
      to.push_back(300);
      weight.push_back(0.001f + static_cast<float>(node % 3) * 0.001f);
    }
    first.push_back(to.size());
  }
  const csr_graph graph{first, to, weight};
  std::vector<float> temperature(leaves + 1), after(leaves + 1);
  for (std::size_t i = 0; i < temperature.size(); ++i) temperature[i] = static_cast<float>(i % 13);
  judge_one(d, heat_batch{graph, temperature, {.conductivity = 0.5, .dt_s = 1}, after});
  for (const std::size_t sources : {1u, 3u, 7u}) {
    std::vector<std::uint32_t> source(sources);
    for (std::size_t s = 0; s < sources; ++s) source[s] = static_cast<std::uint32_t>(300 + s);
    std::vector<float> probability(sources * (leaves + 1));
    judge_one(d, walk_batch{graph, source, 1.5, probability});
  }
}

TEST_CASE("the greatest of a column come in order, few or many, whatever order they are in",
          "[gpu][kernels]") {
  device d{{}};
  const std::size_t n = 17'001; // two stripes
  std::vector<float> value(n);
  for (const int style : {0, 1, 2}) {
    for (std::size_t i = 0; i < n; ++i)
      value[i] = style == 0   ? static_cast<float>(i) // each is greater than all before
                 : style == 1 ? (i % 2 ? 0.f : -0.f)  // all alike
                              : static_cast<float>(i * 7919 % 101) - 50;
    for (const std::size_t top : {1u, 32u, 33u}) {
      std::vector<std::uint32_t> at(top), passed(n);
      std::vector<float> at_value(top);
      std::vector<std::uint64_t> count(1);
      column_batch b;
      b.value = value;
      b.low = -10;
      b.high = 1000;
      b.top_at = at;
      b.top_value = at_value;
      b.passed = passed;
      b.passed_count = count;
      CAPTURE(style, top);
      judge_one(d, b);
    }
  }
}

TEST_CASE("links and values beyond the first 2^32 are found", "[gpu][kernels]") {
  // A graph of one row whose links lie at the end of arrays of 16 GiB, to nodes that far apart; of
  // the memory only what is touched exists.
  constexpr std::size_t links = (std::size_t{1} << 32) + 3, far = std::size_t{1} << 28;
  constexpr std::size_t bytes = (links + 64) * 4;
  const auto reserved = [](std::size_t size) {
    void* const at = mmap(nullptr, size, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    REQUIRE(at != MAP_FAILED);
    return at;
  };
  auto* const to = static_cast<std::uint32_t*>(reserved(bytes));
  auto* const weight = static_cast<float*>(reserved(bytes));
  auto* const here = static_cast<float*>(reserved((far + 4) * 16 * 4));
  const std::uint64_t first[] = {links - 3, links};
  for (std::uint32_t i = 0; i < 3; ++i) {
    to[links - 3 + i] = static_cast<std::uint32_t>(far) + i;
    weight[links - 3 + i] = 0.5f;
    for (std::size_t w = 0; w < 16; ++w)
      here[(far + i) * 16 + w] = static_cast<float>(i + 1) + static_cast<float>(w);
  }
  const graph_job graph{first, to, weight, 1, links, false};
  std::vector<float> next(16), sum(16), last(16);
  emulated_kernels().walk({graph, 16, here, last.data(), next.data(), sum.data(), 2, 0, 1},
                          nullptr);
  for (std::size_t w = 0; w < 16; ++w) CHECK(next[w] == -(6 + 3 * static_cast<float>(w)));
  munmap(to, bytes);
  munmap(weight, bytes);
  munmap(here, (far + 4) * 16 * 4);
}

TEST_CASE("angles of any size keep their place on the circle", "[gpu][kernels]") {
  mixed_sequence random{Catch::getSeed()};
  for (int i = 0; i < 20'000; ++i) {
    double x = std::ldexp(random.unit() * 2 - 1, static_cast<int>(random.below(320)) - 64);
    if (i == 0) x = 1e6;
    if (i == 1) x = std::nextafter(1e6, 2e6);
    if (i == 2) x = 0x1p256;
    float sine = 0, cosine = 0;
    sine_cosine(quarters_of_turns(turns_of(x)), sine, cosine);
    CAPTURE(x);
    REQUIRE(std::abs(static_cast<double>(sine) - std::sin(x)) < 2e-7);
    REQUIRE(std::abs(static_cast<double>(cosine) - std::cos(x)) < 2e-7);
  }
}

// -- what lies between spans and kernels ----------------------------------------------------------

TEST_CASE("the parts that a batch is sent in change no bit of its answer", "[gpu][device]") {
  mixed_sequence random{Catch::getSeed()};
  device small{{.slot_bytes = 512, .scratch_max = 1}}, large{{}};
  for (std::size_t k = 0; k < operations; ++k) {
    const random_batch original{static_cast<operation>(k), 61, random};
    CAPTURE(to_string(static_cast<operation>(k)));
    std::visit(
        [&](const auto& b) {
          using batch = std::decay_t<decltype(b)>;
          poisoned<batch> one{b}, other{b};
          REQUIRE(small.backend.run(one.batch) == outcome::done);
          REQUIRE(large.backend.run(other.batch) == outcome::done);
          // Not bits: two NaN of the poison behind what a filter passed are alike, too.
          REQUIRE(!differs(one.batch, other.batch));
        },
        original.batch());
  }
}

TEST_CASE("a device that fails at any call says so, and the next batch is right", "[gpu][device]") {
  mixed_sequence random{Catch::getSeed()};
  for (std::size_t k = 0; k < operations; ++k) {
    const random_batch original{static_cast<operation>(k), 13, random};
    for (const auto trouble : {outcome::failed, outcome::out_of_memory, outcome::lost}) {
      CAPTURE(to_string(static_cast<operation>(k)), static_cast<int>(trouble));
      device d{{.slot_bytes = 256}};
      const auto run = [&] {
        return std::visit(
            [&](const auto& b) {
              const poisoned own{b};
              return d.backend.run(own.batch);
            },
            original.batch());
      };
      for (int call = 0;; call += 1 + call / 4) { // all of the first ones, then ever fewer
        d.script->fails_at = call;
        d.script->fails_with = trouble;
        const auto what = run();
        const bool reached = d.script->fails_at < 0;
        d.script->fails_at = -1;
        d.script->lost = false;
        if (!reached) {
          REQUIRE(what == outcome::done);
          break;
        }
        // Room for less than was asked for may be room enough.
        if (what != outcome::done) REQUIRE(what == trouble);
        REQUIRE(call < 10'000);
      }
      std::visit([&](const auto& b) { judge_one(d, b); }, original.batch());
    }
  }
}

TEST_CASE("a device allocates for the first batch of a size and not again", "[gpu][device]") {
  mixed_sequence random{Catch::getSeed()};
  device d;
  const random_batch large{operation::entropy, 257, random}, small{operation::entropy, 31, random};
  const auto run = [&](const random_batch& original) {
    std::visit([&](const auto& b) { judge_one(d, b); }, original.batch());
  };
  run(large);
  const auto allocations = d.script->allocations;
  for (int i = 0; i < 3; ++i) {
    run(large);
    run(small);
  }
  CHECK(d.script->allocations == allocations);
}

TEST_CASE("a batch that a device has no room for leaves it ready for a smaller one",
          "[gpu][device]") {
  mixed_sequence random{Catch::getSeed()};
  device d{{.slot_bytes = 4096}};
  d.script->memory_bytes = 2 << 20;
  const std::vector<float> value(600'000, 1);
  column_batch b;
  b.value = value;
  CHECK(d.backend.run(b) == outcome::out_of_memory);
  const random_batch small{operation::column, 31, random};
  std::visit([&](const auto& c) { judge_one(d, c); }, small.batch());
}

TEST_CASE("a device gives back all that it took", "[gpu][device]") {
  auto script = std::make_shared<emulation>();
  {
    mixed_sequence random{Catch::getSeed()};
    device_backend backend{std::make_unique<emulated_runtime>(script), emulated_kernels()};
    const random_batch some{operation::score, 31, random};
    REQUIRE(std::visit([&](const auto& b) { return backend.run(b); }, some.batch()) ==
            outcome::done);
    CHECK(script->used_bytes > 0);
    backend.measure(3);
    REQUIRE(std::visit([&](const auto& b) { return backend.run(b); }, some.batch()) ==
            outcome::done);
    CHECK(backend.times().compute_s > 0);
  }
  CHECK(script->used_bytes == 0);
}

// -- the devices of this machine ------------------------------------------------------------------

TEST_CASE("without a device it is said why", "[gpu][device]") {
  const auto devices = find_devices();
  if (devices.found.empty()) CHECK(devices.said.starts_with("no device: "));
}

TEST_CASE("the devices of this machine answer as the judge does", "[gpu][device]") {
  const auto devices = find_devices();
  if (devices.found.empty()) SKIP("skipped: " + devices.said);
  judge_backend judge;
  mixed_sequence random{Catch::getSeed()};
  for (const auto& d : devices.found)
    for (std::size_t k = 0; k < operations; ++k)
      for (const auto size : {0u, 1u, 2u, 7u, 31u, 33u, 257u, 1009u, 4099u}) {
        const random_batch original{static_cast<operation>(k), size, random};
        CAPTURE(d->name(), to_string(static_cast<operation>(k)), size);
        std::visit(
            [&](const auto& b) {
              REQUIRE(judge.run(b) == outcome::done);
              const poisoned own{b};
              REQUIRE(d->run(own.batch) == outcome::done);
              const auto difference = differs(b, own.batch);
              INFO(difference.value_or("the same"));
              REQUIRE(!difference);
            },
            original.batch());
      }
}
