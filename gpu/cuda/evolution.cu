#include "gpu/cuda/evolution.cuh"

#include "gpu/cuda/compiled_kernels.hpp"

namespace warp::gpu::compiled {

void evolution(const evolution_job& j, device_stream stream) {
  evolution_kernels::run(j, stream);
}

} // namespace warp::gpu::compiled
