#pragma once

#include "gpu/cuda/jobs.hpp"

namespace warp::gpu::compiled {

// The kernels as the CUDA compiler made them, one source an operation: what cuda_devices.cu makes
// its table of. They are there only in a build with CUDA.

void gravity(const gravity_job& j, device_stream stream);
void entropy(const entropy_job& j, device_stream stream);
void degrees(const degree_job& j, device_stream stream);
void normalise(const normalise_job& j, device_stream stream);
void heat(const heat_job& j, device_stream stream);
void walk_start(const walk_start_job& j, device_stream stream);
void walk(const walk_job& j, device_stream stream);
void walk_end(const walk_end_job& j, device_stream stream);
void evolution(const evolution_job& j, device_stream stream);
void horizon_keys(const horizon_job& j, device_stream stream);
void horizon(const horizon_job& j, device_stream stream);
void score(const score_job& j, device_stream stream);
void train(const train_job& j, device_stream stream);
void column(const column_job& j, device_stream stream);
void compact(const column_job& j, device_stream stream);
void top(const top_job& j, device_stream stream);
void top_keys(const top_job& j, device_stream stream);
void top_names(const top_job& j, device_stream stream);

} // namespace warp::gpu::compiled
