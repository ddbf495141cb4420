#include "gpu/cuda/score.cuh"

#include "gpu/cuda/compiled_kernels.hpp"

namespace warp::gpu::compiled {

void score(const score_job& j, device_stream stream) {
  score_kernels::run(j, stream);
}

} // namespace warp::gpu::compiled
