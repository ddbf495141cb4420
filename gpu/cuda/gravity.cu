#include "gpu/cuda/gravity.cuh"

#include "gpu/cuda/compiled_kernels.hpp"

namespace warp::gpu::compiled {

void gravity(const gravity_job& j, device_stream stream) {
  gravity_kernels::run(j, stream);
}

} // namespace warp::gpu::compiled
