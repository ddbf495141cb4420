#include "gpu/cuda/column.cuh"

#include "gpu/cuda/compiled_kernels.hpp"

namespace warp::gpu::compiled {

void column(const column_job& j, device_stream stream) {
  column_kernels::run(j, stream);
}
void compact(const column_job& j, device_stream stream) {
  column_kernels::compact(j, stream);
}
void top(const top_job& j, device_stream stream) {
  column_kernels::top(j, stream);
}
void top_keys(const top_job& j, device_stream stream) {
  column_kernels::top_keys(j, stream);
}
void top_names(const top_job& j, device_stream stream) {
  column_kernels::top_names(j, stream);
}

} // namespace warp::gpu::compiled
