#pragma once

#include "gpu/find_devices.hpp"

#include <chrono>
#include <cstdint>
#include <functional>

namespace warp::actors {

/// Who computes what is computed beside the data path.
enum class compute_mode : std::uint8_t {
  automatic, ///< a device where that is faster, else the CPU
  off,       ///< nobody: jobs are refused, and what wanted them goes without
  cpu,       ///< the CPU, also where there is a device
};

/// How a universe computes batches (gpu/compute.hpp).
struct compute_settings {
  compute_mode mode = compute_mode::automatic;
  std::uint32_t check_one_in = 100;           ///< batches of a device computed on both; 0: none
  std::uint32_t queue_max = 256;              ///< jobs that may wait, >= 1
  std::uint64_t queue_bytes_max = 256u << 20; ///< of the inputs and outputs of those
  std::chrono::milliseconds window{10}; ///< how long a background job waits for others like it
  std::uint32_t batch_max = 64;         ///< jobs in one batch, >= 1
  std::uint32_t workers = 1;            ///< batches at the same time, >= 1
  std::uint32_t threads = 1;            ///< of the CPU for one batch, >= 1
  /// Largest work that a crossover is looked for at (gpu/compute.hpp): some seconds.
  std::uint64_t calibrate_up_to = 1 << 20;
  /// Where devices come from; empty: gpu::find_devices.
  std::function<gpu::device_list()> devices;
};

} // namespace warp::actors
