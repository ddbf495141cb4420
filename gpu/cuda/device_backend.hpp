#pragma once

#include "gpu/backend.hpp"
#include "gpu/cuda/device_lane.hpp"
#include "gpu/cuda/device_runtime.hpp"
#include "gpu/cuda/jobs.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace warp::gpu {

struct device_options {
  std::size_t slot_bytes = std::size_t{4} << 20;  ///< of pinned memory; eight of them
  std::size_t scratch_max = std::size_t{1} << 30; ///< for settings of one cache-policy fit side by
                                                  ///< side; one of them may take more
};

/// Where the time of a batch went; see device_backend::measure().
struct device_times {
  double up_s = 0, compute_s = 0, down_s = 0;
  std::uint64_t up_bytes = 0, down_bytes = 0;
};

/// A device that computes batches: what lies between spans and kernels. Batches of rows that do not
/// depend on each other go through in parts, over two streams: one part is packed and copied while
/// another is computed. The others are sent whole, in slots. Device memory grows to what the
/// largest batch took and stays; the pinned memory and the streams come with the first batch.
///
/// It knows no CUDA: memory and kernels are given to it. So the tests run all of it on the CPU.
class device_backend final : public backend {
public:
  device_backend(std::unique_ptr<device_runtime> runtime, const device_kernels& kernels,
                 const device_options& options = {});

  [[nodiscard]] std::string name() const override { return runtime_->name(); }

  outcome run(const gravity_batch& b) noexcept override;
  outcome run(const entropy_batch& b) noexcept override;
  outcome run(const walk_batch& b) noexcept override;
  outcome run(const evolution_batch& b) noexcept override;
  outcome run(const heat_batch& b) noexcept override;
  outcome run(const horizon_batch& b) noexcept override;
  outcome run(const score_batch& b) noexcept override;
  outcome run(const train_batch& b) noexcept override;
  outcome run(const column_batch& b) noexcept override;

  /// For benchmarks. From the next batch on each is sent in one piece, computed once and then so
  /// many times more, and sent back; times() says what that took, the mean of the computations. 0:
  /// as usual again.
  void measure(unsigned repeats) noexcept { repeats_ = repeats; }
  [[nodiscard]] const device_times& times() const noexcept { return times_; }

private:
  template <class Work>
  outcome guarded(Work&& work) noexcept;
  template <class Prepare>
  void in_parts(std::size_t rows, std::size_t row_bytes, Prepare&& prepare);
  void send(device_lane& lane);
  template <class Work>
  void compute(device_lane& lane, Work&& work);
  void finish(device_lane& lane);

  const std::unique_ptr<device_runtime> runtime_;
  const device_kernels kernels_;
  const device_options options_;
  device_lane lanes_[device_runtime::lanes];
  std::vector<horizon_run> runs_;
  unsigned repeats_ = 0;
  device_times times_;
};

} // namespace warp::gpu
