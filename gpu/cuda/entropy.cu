#include "gpu/cuda/entropy.cuh"

#include "gpu/cuda/compiled_kernels.hpp"

namespace warp::gpu::compiled {

void entropy(const entropy_job& j, device_stream stream) {
  entropy_kernels::run(j, stream);
}

} // namespace warp::gpu::compiled
