#include "gpu/compute.hpp"

#include "gpu/answer_check.hpp"
#include "gpu/judge_backend.hpp"
#include "tests/gpu/fake_device.hpp"
#include "tests/gpu/random_batch.hpp"

#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>

#include <condition_variable>
#include <mutex>
#include <numeric>
#include <thread>

using namespace warp::gpu;
using warp::physics::mixed_sequence;
using state = circuit_breaker::state;

namespace {

/// A compute whose devices are fakes that take every batch.
struct faked {
  explicit faked(std::size_t devices, compute_options options = {.check_one_in = 0}) {
    device_list list;
    for (std::size_t i = 0; i < devices; ++i) {
      scripts.push_back(std::make_shared<device_script>());
      list.found.push_back(
          std::make_unique<fake_device>(scripts.back(), "fake " + std::to_string(i)));
    }
    door = std::make_unique<compute>(options, std::move(list));
    calibration all{
        "CPU, " + std::string{kernels_for(options.cpu.level).name} + ", 1 thread", "", {}};
    for (std::size_t i = 0; i < devices; ++i)
      all.device += (i ? " + fake " : "fake ") + std::to_string(i);
    REQUIRE_FALSE(door->calibrate(to_text(all), [] { return 0.0; }).measured);
  }

  std::vector<std::shared_ptr<device_script>> scripts;
  std::unique_ptr<compute> door;
};

/// The answer of a run beside the judge's.
template <class Batch>
answer judged(compute& door, const Batch& b, double now_s) {
  const poisoned own{b};
  const auto a = door.run(own.batch, now_s);
  judge_backend judge;
  REQUIRE(judge.run(b) == outcome::done);
  const auto difference = differs(b, own.batch);
  INFO(difference.value_or("the same"));
  REQUIRE(!difference);
  return a;
}

answer judged(compute& door, const any_batch& batch, double now_s) {
  return std::visit([&](const auto& b) { return judged(door, b, now_s); }, batch);
}

std::uint64_t sum_of(const std::array<std::uint64_t, operations>& counts) {
  return std::accumulate(counts.begin(), counts.end(), std::uint64_t{0});
}

} // namespace

TEST_CASE("without a device everything is computed by the CPU, and the status says why",
          "[gpu][dispatch]") {
  compute door;
  mixed_sequence random{Catch::getSeed()};
  for (std::size_t k = 0; k < operations; ++k) {
    const sample_batch sample{static_cast<operation>(k), 5000, random()};
    CHECK(judged(door, sample.batch(), 0) == answer::by_cpu);
    CHECK(door.counted().on_cpu[k] == 1);
  }
  CHECK(door.status().find("no device") != std::string::npos);
  const auto c = door.calibrate({}, [] { return 0.0; });
  CHECK_FALSE(c.measured);
  CHECK(c.text.empty());
}

TEST_CASE("a driver that is too old is a device less, and said", "[gpu][dispatch]") {
  compute door{{}, {{}, "no device: driver 11.4 is older than 13.0, which this build needs"}};
  const sample_batch sample{operation::gravity, 5000, 1};
  CHECK(judged(door, sample.batch(), 0) == answer::by_cpu);
  CHECK(door.status().find("driver 11.4 is older than 13.0") != std::string::npos);
  CHECK(door.devices().empty());
}

TEST_CASE("an error of the device at any batch gives the same answer from the CPU",
          "[gpu][dispatch]") {
  for (const auto what : {outcome::failed, outcome::out_of_memory, outcome::lost})
    for (std::size_t k = 0; k < operations; ++k) {
      faked f{1};
      const sample_batch sample{static_cast<operation>(k), 5000, 3};
      CAPTURE(to_string(static_cast<operation>(k)), static_cast<int>(what));
      CHECK(judged(*f.door, sample.batch(), 1) == answer::by_device);
      f.scripts[0]->next = {what};
      CHECK(judged(*f.door, sample.batch(), 2) == answer::by_cpu);
      const auto counted = f.door->counted();
      CHECK(counted.fallbacks == 1);
      CHECK(counted.on_device[k] == 1);
      CHECK(counted.on_cpu[k] == 1);
      const auto device = f.door->devices()[0];
      CHECK(device.failed == (what == outcome::failed));
      CHECK(device.out_of_memory == (what == outcome::out_of_memory));
      CHECK(device.lost == (what == outcome::lost));
      CHECK(device.breaker == (what == outcome::lost ? state::open : state::closed));
    }
}

TEST_CASE("random batches on a device that fails at random are answered as by the judge",
          "[gpu][dispatch]") {
  faked f{2, {.check_one_in = 3}};
  mixed_sequence random{Catch::getSeed()};
  std::uint64_t runs = 0;
  for (double now = 0; now < 400; ++now) {
    for (auto& s : f.scripts)
      s->next = {random.below(3) ? outcome::done : static_cast<outcome>(random.below(4))};
    const random_batch batch{static_cast<operation>(random.below(operations)), random.below(60),
                             random};
    const auto a = judged(*f.door, batch.batch(), now);
    CHECK((a == answer::by_cpu || a == answer::by_device));
    ++runs;
  }
  const auto counted = f.door->counted();
  CHECK(sum_of(counted.on_cpu) + sum_of(counted.on_device) == runs);
  CHECK(counted.mismatched == 0);
  CHECK(sum_of(counted.on_device) > 0);
}

TEST_CASE("five failures keep a device alone for thirty seconds, then one batch probes it",
          "[gpu][dispatch]") {
  faked f{1};
  const sample_batch sample{operation::entropy, 2000, 5};
  f.scripts[0]->next.assign(5, outcome::failed);
  for (int i = 0; i < 5; ++i) CHECK(judged(*f.door, sample.batch(), 10) == answer::by_cpu);
  CHECK(f.door->devices()[0].breaker == state::open);
  CHECK(judged(*f.door, sample.batch(), 39) == answer::by_cpu);
  CHECK(f.scripts[0]->batches == 5);
  CHECK(f.door->counted().breakers_open == 1);

  f.scripts[0]->next = {outcome::failed};
  CHECK(judged(*f.door, sample.batch(), 40) == answer::by_cpu); // the probe
  CHECK(f.scripts[0]->batches == 6);
  CHECK(judged(*f.door, sample.batch(), 69) == answer::by_cpu);
  CHECK(f.scripts[0]->batches == 6);
  CHECK(judged(*f.door, sample.batch(), 70) == answer::by_device);
  CHECK(f.door->devices()[0].breaker == state::closed);
  CHECK(f.door->counted().checked == 1); // a probe that works is compared as well
  CHECK(judged(*f.door, sample.batch(), 71) == answer::by_device);
}

TEST_CASE("a wrong answer of a device is caught by the check, replaced, and opens its breaker",
          "[gpu][dispatch]") {
  for (std::size_t k = 0; k < operations; ++k) {
    CAPTURE(to_string(static_cast<operation>(k)));
    faked f{1, {.check_one_in = 1}};
    f.scripts[0]->wrong = true;
    const sample_batch sample{static_cast<operation>(k), 5000, 7};
    CHECK(judged(*f.door, sample.batch(), 1) == answer::by_cpu);
    CHECK(f.door->counted().mismatched == 1);
    CHECK(f.door->devices()[0].breaker == state::open);
    CHECK(f.door->status().find("wrong answer") != std::string::npos);
    // Still wrong when it is tried again: the probe is compared, whatever the rate.
    CHECK(judged(*f.door, sample.batch(), 31) == answer::by_cpu);
    CHECK(f.door->counted().mismatched == 2);
    CHECK(f.door->devices()[0].openings == 2);
  }
}

TEST_CASE("one batch in so many is computed on both", "[gpu][dispatch]") {
  faked f{1, {.check_one_in = 10}};
  const sample_batch sample{operation::score, 2000, 5};
  for (int i = 0; i < 100; ++i) CHECK(judged(*f.door, sample.batch(), 1) == answer::by_device);
  CHECK(f.door->counted().checked == 10);
}

TEST_CASE("a device that is lost leaves the others to work, and is probed when it may be back",
          "[gpu][dispatch]") {
  faked f{3};
  const sample_batch sample{operation::heat, 2000, 5};
  for (auto& s : f.scripts) s->next = {outcome::lost};
  CHECK(judged(*f.door, sample.batch(), 1) == answer::by_cpu);
  f.scripts[1]->next.clear();
  f.scripts[2]->next.clear();
  for (int i = 0; i < 9; ++i) CHECK(judged(*f.door, sample.batch(), 2) == answer::by_device);
  CHECK(f.scripts[0]->batches == 1);
  const auto devices = f.door->devices();
  CHECK(devices[0].breaker == state::open);
  CHECK(devices[1].breaker == state::closed);
  CHECK(devices[2].breaker == state::closed);
  CHECK(judged(*f.door, sample.batch(), 32) == answer::by_device);
  CHECK(f.scripts[0]->batches == 2);
  CHECK(f.door->devices()[0].breaker == state::closed);
}

TEST_CASE("each device has a queue of its own: batches take the shortest, and the CPU beyond",
          "[gpu][dispatch]") {
  faked f{2, {.check_one_in = 0, .queue_max = 2}};
  const sample_batch blocking{operation::evolution, 1000, 5};
  std::mutex mutex;
  std::condition_variable changed;
  bool go = false;
  for (auto& s : f.scripts)
    s->during = [&] {
      std::unique_lock lock{mutex};
      changed.wait(lock, [&] { return go; });
    };
  std::vector<std::unique_ptr<sample_batch>> batches;
  std::vector<std::thread> callers;
  std::vector<answer> answers(4, answer::invalid);
  for (std::size_t i = 0; i < 4; ++i)
    batches.push_back(std::make_unique<sample_batch>(operation::evolution, 1000, i));
  const auto waiting = [&] {
    unsigned sum = 0;
    for (const auto& d : f.door->devices()) sum += d.waiting;
    return sum;
  };
  for (std::size_t i = 0; i < 4; ++i) {
    callers.emplace_back([&, i] {
      answers[i] =
          std::visit([&](const auto& b) { return f.door->run(b, 1); }, batches[i]->batch());
    });
    while (waiting() < i + 1) std::this_thread::yield();
  }
  // Two a device: one inside, one in its queue. The next one finds both full.
  for (const auto& d : f.door->devices()) CHECK(d.waiting == 2);
  CHECK(judged(*f.door, blocking.batch(), 1) == answer::by_cpu);
  CHECK(f.door->counted().queues_full == 1);
  {
    const std::lock_guard lock{mutex};
    go = true;
  }
  changed.notify_all();
  for (auto& c : callers) c.join();
  for (const auto a : answers) CHECK(a == answer::by_device);
  CHECK(f.scripts[0]->batches == 2);
  CHECK(f.scripts[1]->batches == 2);
  CHECK(waiting() == 0);
}

TEST_CASE("batches that wait for a device that is lost meanwhile are answered by the CPU",
          "[gpu][dispatch]") {
  faked f{1};
  std::mutex mutex;
  std::condition_variable changed;
  bool go = false;
  f.scripts[0]->next = {outcome::lost};
  f.scripts[0]->during = [&] {
    std::unique_lock lock{mutex};
    changed.wait(lock, [&] { return go; });
  };
  std::vector<std::unique_ptr<sample_batch>> batches;
  for (std::size_t i = 0; i < 3; ++i)
    batches.push_back(std::make_unique<sample_batch>(operation::evolution, 1000, i));
  std::vector<answer> answers(3, answer::invalid);
  std::vector<std::thread> callers;
  for (std::size_t i = 0; i < 3; ++i)
    callers.emplace_back([&, i] {
      answers[i] =
          std::visit([&](const auto& b) { return f.door->run(b, 1); }, batches[i]->batch());
    });
  while (f.door->devices()[0].waiting < 3) std::this_thread::yield();
  {
    const std::lock_guard lock{mutex};
    go = true;
  }
  changed.notify_all();
  for (auto& c : callers) c.join();
  for (const auto a : answers) CHECK(a == answer::by_cpu);
  CHECK(f.scripts[0]->batches == 1);
  CHECK(f.door->counted().fallbacks == 3);
}

TEST_CASE("batches go to a device from the measured crossover on, and small ones never",
          "[gpu][calibration]") {
  double now = 0;
  const auto script = std::make_shared<device_script>(), cpu = std::make_shared<device_script>();
  for (auto* s : {script.get(), cpu.get()}) s->clock = &now;
  // 1 ms to begin with and then 10 times as fast: worth it from 11,111 on.
  script->cost_s = 1e-3;
  script->cost_a_work = 1e-8;
  cpu->cost_a_work = 1e-7;
  device_list list;
  list.found.push_back(std::make_unique<fake_device>(script, "fake"));
  compute door{{.check_one_in = 0, .calibrate_up_to = 1 << 16},
               std::move(list),
               std::make_unique<fake_device>(cpu, "slow CPU")};
  const sample_batch small{operation::evolution, 4096, 1}, large{operation::evolution, 16384, 1};
  CHECK(judged(door, large.batch(), now) == answer::by_cpu); // nothing was measured so far

  const auto clock = [&] { return now; };
  const auto first = door.calibrate({}, clock);
  CHECK(first.measured);
  CHECK(first.said.find("there was no calibration") != std::string::npos);
  CHECK(door.crossovers().of(operation::evolution) == 16384);
  CHECK(judged(door, small.batch(), now) == answer::by_cpu);
  CHECK(judged(door, large.batch(), now) == answer::by_device);

  SECTION("a stored calibration is used again") {
    const auto measured = script->batches.load();
    const auto again = door.calibrate(first.text, clock);
    CHECK_FALSE(again.measured);
    CHECK(again.text == first.text);
    CHECK(script->batches == measured);
    CHECK(door.crossovers().of(operation::evolution) == 16384);
  }
  SECTION("one that is corrupt is measured anew, and that is said") {
    auto corrupt = first.text;
    corrupt[corrupt.size() / 2] ^= 4;
    const auto again = door.calibrate(corrupt, clock);
    CHECK(again.measured);
    CHECK(again.said.find("could not be read") != std::string::npos);
    CHECK(again.text == first.text);
  }
  SECTION("so is one of another machine") {
    auto other = door.crossovers();
    other.device = "another";
    const auto again = door.calibrate(to_text(other), clock);
    CHECK(again.measured);
    CHECK(again.said.find("another") != std::string::npos);
  }
  SECTION("a device that is never quicker, or fails meanwhile, gets nothing") {
    script->cost_s = 10;
    CHECK(door.calibrate({}, clock).measured);
    CHECK(door.crossovers().of(operation::evolution) == calibration::never);
    script->cost_s = 0;
    script->next.assign(1000, outcome::failed);
    CHECK(door.calibrate({}, clock).measured);
    CHECK(door.crossovers().of(operation::gravity) == calibration::never);
    CHECK(judged(door, large.batch(), now) == answer::by_cpu);
  }
}

TEST_CASE("a batch whose sizes do not fit is refused, whoever would compute it",
          "[gpu][dispatch]") {
  faked f{1};
  const std::vector<float> two(2, 1), three(3, 1);
  std::vector<float> out(2, 7);
  evolution_batch b{two, three, two, 1, out, out, out};
  CHECK(f.door->run(b, 1) == answer::invalid);
  CHECK(f.door->counted().invalid == 1);
  CHECK(f.scripts[0]->batches == 0);
  CHECK(out == std::vector<float>(2, 7));
}

TEST_CASE("when the CPU has no memory either the caller is told", "[gpu][dispatch]") {
  const auto script = std::make_shared<device_script>();
  script->next = {outcome::out_of_memory};
  compute door{{}, {}, std::make_unique<fake_device>(script, "small")};
  const sample_batch sample{operation::train, 1000, 5};
  CHECK(std::visit([&](const auto& b) { return door.run(b, 1); }, sample.batch()) ==
        answer::out_of_memory);
  CHECK(judged(door, sample.batch(), 1) == answer::by_cpu);
}
