#include "tests/actors/compute_fixture.hpp"
#include "tests/actors/universe_fixture.hpp"

#include <algorithm>
#include <atomic>
#include <future>
#include <string>
#include <thread>

using namespace warp;
using namespace warp::testing;

namespace {

using namespace std::chrono_literals;

constexpr const char* worker_path = "universe/physics/gpu-manager-0";

template <class Holds>
void wait_until(Holds holds) {
  const auto end = std::chrono::steady_clock::now() + 60s;
  while (!holds()) {
    REQUIRE(std::chrono::steady_clock::now() < end);
    std::this_thread::sleep_for(2ms);
  }
}

} // namespace

TEST_CASE_METHOD(universe_fixture, "a universe says who computes, and shows it in its metrics",
                 "[actors][gpu]") {
  auto u = open({.compute = {.mode = actors::compute_mode::cpu}});
  CHECK(node_at(*u, worker_path).state == actors::node_state::running);
  wait_until([&] { return u->gpu_status().opened_s > 0; });
  CHECK(u->gpu_status().mode == "cpu");
  CHECK(u->gpu_status().backend.find("CPU") == 0);
  const auto timings = u->gpu_bench(1'000);
  REQUIRE(timings.ok());
  for (const auto& t : *timings) {
    CHECK(t.cpu_s > 0);
    CHECK(t.device_s < 0);
  }
  CHECK_FALSE(u->gpu_calibrate()->measured);
  const auto metrics = u->metrics();
  for (const auto* name :
       {"warp_gpu_jobs_total{operation=\"horizon\"} 0", "warp_gpu_devices 0",
        "warp_gpu_queue_jobs{rank=\"background\"} 0", "warp_gpu_transfer_bytes_total 0",
        "warp_gpu_utilisation_ratio ", "warp_gpu_job_seconds_count{rank=\"interactive\"} 0"}) {
    INFO(name);
    CHECK(metrics.find(name) != std::string::npos);
  }
}

TEST_CASE_METHOD(universe_fixture, "with mode off, or without physics, nobody computes",
                 "[actors][gpu]") {
  for (const bool physics : {true, false}) {
    universe_options options{.physics = physics};
    if (physics) options.compute.mode = actors::compute_mode::off;
    auto u = open(std::move(options));
    CHECK(node_at(*u, worker_path).path.empty());
    CHECK(u->gpu_status().why == "gpu.mode is off");
    CHECK(u->gpu_bench(1'000).status() == op_code::not_supported);
    CHECK(u->gpu_calibrate().status() == op_code::not_supported);
    REQUIRE(u->stop().ok());
  }
}

TEST_CASE_METHOD(universe_fixture,
                 "a worker that is ended finishes what it has in hand, and its successor goes on",
                 "[actors][gpu]") {
  const faked_devices fakes{1};
  auto& script = *fakes.scripts[0];
  {
    auto u = open(); // makes the folder
    REQUIRE(u->stop().ok());
  }
  fakes.calibrate(files);
  std::promise<void> begun, go_on;
  const auto gone = go_on.get_future().share();
  std::atomic<int> batches{0};
  script.during = [&] {
    if (batches++ == 0) {
      begun.set_value();
      gone.wait();
    }
  };
  auto u = open({.compute = {.devices = fakes.finder()}});
  auto first = std::async(std::launch::async, [&] { return u->gpu_bench(500); });
  begun.get_future().wait();
  auto second = std::async(std::launch::async, [&] { return u->gpu_bench(500); });
  CHECK(u->chaos(worker_path).ok());
  CHECK(u->put("the data path", "goes on").ok());
  go_on.set_value();
  const auto one = first.get(), two = second.get();
  CHECK(one.ok());
  CHECK(two.ok());
  wait_until([&] {
    const auto worker = node_at(*u, worker_path);
    return worker.restarts == 1 && worker.state == actors::node_state::running;
  });
  CHECK(u->gpu_bench(500).ok());
  CHECK(u->gpu_status().devices.size() == 1);
  CHECK(u->metrics().find("warp_gpu_breaker_state{device=\"fake\"} 0") != std::string::npos);
}

TEST_CASE_METHOD(universe_fixture, "a stop ends what is computed, and answers who waits for it",
                 "[actors][gpu]") {
  auto u = open();
  auto bench = std::async(std::launch::async, [&] { return u->gpu_bench(2'000).status(); });
  REQUIRE(u->stop().ok());
  const auto status = bench.get();
  CHECK((status.ok() || status == op_code::shutting_down));
  CHECK(u->gpu_calibrate().status() == op_code::shutting_down);
}
