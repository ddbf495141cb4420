#include "gpu/cuda/horizon.cuh"

#include "gpu/cuda/compiled_kernels.hpp"

namespace warp::gpu::compiled {

void horizon_keys(const horizon_job& j, device_stream stream) {
  horizon_kernels::number(j, stream);
}
void horizon(const horizon_job& j, device_stream stream) {
  horizon_kernels::run(j, stream);
}

} // namespace warp::gpu::compiled
