#pragma once

#include "actors/compute_manager.hpp"
#include "gpu/kernels.hpp"
#include "gpu/sample_batch.hpp"
#include "storage/replace_file.hpp"
#include "tests/gpu/fake_device.hpp"
#include "tests/support/memory_file_system.hpp"

#include <catch2/catch_test_macros.hpp>
#include <spdlog/spdlog.h>

#include <chrono>
#include <future>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace warp::testing {

/// Fake devices that take every batch, for a compute manager or a universe in the folder "data".
struct faked_devices {
  explicit faked_devices(std::size_t devices) {
    for (std::size_t i = 0; i < devices; ++i)
      scripts.push_back(std::make_shared<gpu::device_script>());
  }

  /// What compute_settings::devices is to be.
  std::function<gpu::device_list()> finder() const {
    return [scripts = scripts] {
      gpu::device_list list;
      for (const auto& s : scripts)
        list.found.push_back(std::make_unique<gpu::fake_device>(s, "fake"));
      return list;
    };
  }
  /// Crossovers by which they are asked for everything.
  [[nodiscard]] std::string calibration() const {
    gpu::calibration all{"CPU, " + std::string{gpu::kernels_for(gpu::cpu_level::avx512).name} +
                             ", 1 thread",
                         "",
                         {}};
    for (std::size_t i = 0; i < scripts.size(); ++i) all.device += i ? " + fake" : "fake";
    return gpu::to_text(all);
  }
  void calibrate(storage::file_system& files) const {
    REQUIRE(
        storage::replace_file(files, "data", actors::compute_calibration_file, calibration()).ok());
  }

  std::vector<std::shared_ptr<gpu::device_script>> scripts;
};

/// A compute manager whose time is now_s, and that does nothing until it is told to.
struct compute_fixture {
  explicit compute_fixture(std::size_t devices = 0, actors::compute_settings settings = {})
      : fakes(devices) {
    spdlog::set_level(spdlog::level::off);
    REQUIRE(files.create_folder("data").ok());
    if (devices != 0) fakes.calibrate(files);
    settings.devices = fakes.finder();
    if (devices == 0) settings.devices = {};
    open(std::move(settings));
  }
  void open(actors::compute_settings settings) {
    manager.reset();
    manager = std::make_unique<actors::compute_manager>(std::move(settings), files, "data",
                                                        [this] { return now_s; });
  }

  ~compute_fixture() {
    manager.reset();
    spdlog::set_level(spdlog::level::info);
  }

  /// Computes what is due, if anything is.
  void turn() { manager->turn(0, std::chrono::milliseconds{0}); }
  void pass(double s) { now_s += s; }
  [[nodiscard]] gpu_report report() const { return manager->report(); }

  memory_file_system files;
  faked_devices fakes;
  double now_s = 1'000;
  std::unique_ptr<actors::compute_manager> manager;
};

/// A sample as a job.
inline actors::compute_job job_of(gpu::operation kind, std::uint64_t work = 1'000,
                                  actors::compute_rank rank = actors::compute_rank::interactive) {
  auto memory = std::make_shared<gpu::sample_batch>(kind, work, 1);
  return {.batch = memory->batch(), .memory = memory, .rank = rank};
}

inline bool is_ready(const std::future<actors::compute_answer>& f) {
  return f.wait_for(std::chrono::seconds{0}) == std::future_status::ready;
}

} // namespace warp::testing
