#include "gpu/cuda/train.cuh"

#include "gpu/cuda/compiled_kernels.hpp"

namespace warp::gpu::compiled {

void train(const train_job& j, device_stream stream) {
  train_kernels::run(j, stream);
}

} // namespace warp::gpu::compiled
