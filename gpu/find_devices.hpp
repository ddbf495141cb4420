#pragma once

#include "gpu/backend.hpp"

#include <memory>
#include <string>
#include <vector>

namespace warp::gpu {

/// The devices of a machine, and what is to be said of the search: which were left out and why.
struct device_list {
  std::vector<std::unique_ptr<backend>> found;
  std::string said; ///< "no device: the driver is older than the runtime", ...
};

/// Looks for devices that this build can use: CUDA's (cuda/cuda_devices.hpp) where it was built
/// with a CUDA compiler. None: `said` is why. Costs a call of the driver, no more.
[[nodiscard]] device_list find_devices();

} // namespace warp::gpu
