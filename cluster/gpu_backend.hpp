#pragma once

#include "messages/gpu.hpp"
#include "messages/status.hpp"

#include <cstdint>
#include <vector>

namespace warp::cluster {

/// What is computed beside the data path, for the front ends. The program implements it.
/// Thread-safe; the last two block for seconds. Codes: see warp::universe.
class gpu_backend {
public:
  virtual ~gpu_backend() = default;

  virtual gpu_report status() = 0;
  virtual op_result<std::vector<gpu_timing>> bench(std::uint64_t work) = 0;
  virtual op_result<gpu_calibration_report> calibrate() = 0;
};

} // namespace warp::cluster
