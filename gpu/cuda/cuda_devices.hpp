#pragma once

#include "gpu/cuda/device_backend.hpp"
#include "gpu/find_devices.hpp"

#include <memory>
#include <string>
#include <vector>

namespace warp::gpu {

// Only in a build with CUDA (WARP_WITH_CUDA is defined).

/// The devices that CUDA sees and this build has code for (compute capability 7.5 or later). Costs
/// a call of the driver: no context is made before a device's first batch.
[[nodiscard]] device_list cuda_devices();

/// The same as they are, for benchmarks, and what is said of them.
struct measurable_devices {
  std::vector<std::unique_ptr<device_backend>> found;
  std::string said;
};
[[nodiscard]] measurable_devices measurable_cuda_devices();

} // namespace warp::gpu
