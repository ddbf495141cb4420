#pragma once

#include <string>

namespace warp::programs {

/// What this process takes of the machine, as Prometheus text: warp_process_cpu_seconds_total,
/// warp_process_resident_memory_bytes, warp_process_open_descriptors, warp_process_threads. Any
/// thread.
std::string process_metrics();

} // namespace warp::programs
