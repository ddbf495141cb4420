#pragma once

#include "gpu/backend.hpp"
#include "gpu/kernels.hpp"
#include "gpu/work_pool.hpp"

#include <vector>

namespace warp::gpu {

struct cpu_options {
  unsigned threads = 1;                ///< in all, the calling one included
  cpu_level level = cpu_level::avx512; ///< the best that the processor has, up to this
};

/// The CPU reference: float32 in the processor's widest registers, on as many threads as it may
/// use. Beside the judge (judge_backend.hpp) its answers are within the tolerances of
/// answer_check.hpp; they do not depend on the number of threads. Small batches stay on the calling
/// thread. Making one costs nothing: threads start with the first large batch. Scratch memory is
/// kept from batch to batch: of a walk 4 x nodes x lanes floats, else little.
/// outcome::out_of_memory is the only failure.
class cpu_backend final : public backend {
public:
  explicit cpu_backend(const cpu_options& options = {})
      : inner_(kernels_for(options.level)), pool_(options.threads) {}

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

private:
  void walk(const walk_batch& b, std::size_t from, std::size_t sources, bool single);

  const kernels& inner_;
  work_pool pool_;
  // Scratch, see walk() and run().
  std::vector<float> reach_, weight_, even_, odd_, real_, imaginary_, slopes_;
  std::vector<double> parts_;
};

} // namespace warp::gpu
