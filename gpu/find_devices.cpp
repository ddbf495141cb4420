#include "gpu/find_devices.hpp"

#if defined(WARP_WITH_CUDA)
#include "gpu/cuda/cuda_devices.hpp"
#endif

namespace warp::gpu {

device_list find_devices() {
#if defined(WARP_WITH_CUDA)
  return cuda_devices();
#else
  return {{}, "no device: this build is without CUDA"};
#endif
}

} // namespace warp::gpu
