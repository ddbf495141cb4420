#pragma once

#include "gpu/backend.hpp"

namespace warp::gpu {

/// The judge: every batch by the formulas of physics/ as they stand there, in float64, one number
/// after the other, on the calling thread, compiled without vectorisation. Slow, and right: what
/// the other backends are compared with. outcome::out_of_memory is the only failure.
class judge_backend final : public backend {
public:
  [[nodiscard]] std::string name() const override;

  outcome run(const gravity_batch& b) noexcept override;
  outcome run(const entropy_batch& b) noexcept override;
  outcome run(const walk_batch& b) noexcept override;
  outcome run(const evolution_batch& b) noexcept override;
  outcome run(const heat_batch& b) noexcept override;
  outcome run(const horizon_batch& b) noexcept override;
  outcome run(const score_batch& b) noexcept override;
  outcome run(const train_batch& b) noexcept override;
  outcome run(const column_batch& b) noexcept override;
};

} // namespace warp::gpu
