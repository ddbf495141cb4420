#include "gpu/cuda/heat.cuh"

#include "gpu/cuda/compiled_kernels.hpp"

namespace warp::gpu::compiled {

void heat(const heat_job& j, device_stream stream) {
  heat_kernels::run(j, stream);
}

} // namespace warp::gpu::compiled
