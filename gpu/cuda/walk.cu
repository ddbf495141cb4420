#include "gpu/cuda/walk.cuh"

#include "gpu/cuda/compiled_kernels.hpp"

namespace warp::gpu::compiled {

void degrees(const degree_job& j, device_stream stream) {
  walk_kernels::degrees(j, stream);
}
void normalise(const normalise_job& j, device_stream stream) {
  walk_kernels::normalise(j, stream);
}
void walk_start(const walk_start_job& j, device_stream stream) {
  walk_kernels::start(j, stream);
}
void walk(const walk_job& j, device_stream stream) {
  walk_kernels::step(j, stream);
}
void walk_end(const walk_end_job& j, device_stream stream) {
  walk_kernels::end(j, stream);
}

} // namespace warp::gpu::compiled
