#pragma once

#include "actors/universe.hpp"
#include "cluster/gpu_backend.hpp"

namespace warp::programs {

/// What a universe computes beside its data path, for the front ends. Thread-safe as the universe
/// is; borrows it.
class universe_gpu final : public cluster::gpu_backend {
public:
  explicit universe_gpu(universe& u) noexcept : universe_(u) {}

  gpu_report status() override { return universe_.gpu_status(); }
  op_result<std::vector<gpu_timing>> bench(std::uint64_t work) override {
    return universe_.gpu_bench(work);
  }
  op_result<gpu_calibration_report> calibrate() override { return universe_.gpu_calibrate(); }

private:
  universe& universe_;
};

} // namespace warp::programs
