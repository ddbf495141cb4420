#pragma once

#include "gpu/batches.hpp"

#include <cstddef>
#include <cstdint>

namespace warp::gpu {

// What a part of a batch needs: plain pointers and counts, so that one thread can compute rows
// begin .. end of it.

struct gravity_rows {
  const gravity_batch& batch;
  const float* reach; ///< of each place, with `reach_padding` entries of -1 behind the last
  std::size_t begin, end;
};
inline constexpr std::size_t reach_padding = 16;

/// What the entropy of one segment is made of, u = load / capacity.
struct entropy_sums {
  double use = 0, use_log = 0;   ///< sum(u), sum(u log2 u)
  double load = 0, load_log = 0; ///< sum(load), sum(load log2 u)
  double capacity = 0;
};

struct walk_rows {
  const std::uint64_t* first;
  const std::uint32_t* to;
  const float* weight;      ///< normalised: w / sqrt(degree x degree)
  const float *here, *last; ///< T_k and T_(k-1), `sources` numbers a node
  float* next;              ///< T_(k+1) = twice x (H - 1) T_k - before x T_(k-1); may be `last`
  float* sum;               ///< += coefficient x T_(k+1)
  float twice, before, coefficient;
  std::size_t begin, end;
};

struct heat_rows {
  const std::uint64_t* first;
  const std::uint32_t* to;
  const float* weight;
  const float* here;
  float* next; ///< left x (here + share x flow)
  float share, left;
  std::size_t begin, end;
};

/// The inner loops for one kind of processor. All of them: the parts of a batch, on the calling
/// thread, without allocation.
struct kernels {
  const char* name;    ///< "AVX-512"
  std::size_t sources; ///< that one walk carries side by side

  void (*gravity)(const gravity_rows&) noexcept;
  entropy_sums (*entropy)(const float* load, const float* capacity, std::size_t n) noexcept;
  void (*walk)(const walk_rows&) noexcept;        ///< `sources` numbers a node
  void (*walk_single)(const walk_rows&) noexcept; ///< one
  void (*heat)(const heat_rows&) noexcept;
  void (*evolution)(const evolution_batch&, std::size_t begin, std::size_t end) noexcept;
  void (*score)(const score_batch&, std::size_t begin, std::size_t end) noexcept;
  /// Adds the slope of rows begin .. end to shape.weights() numbers.
  void (*train)(const train_batch&, std::size_t begin, std::size_t end, float* slope) noexcept;
  double (*sum)(const float* value, std::size_t n) noexcept;
  double (*dot)(const float* value, const float* other, std::size_t n) noexcept;
  /// The greatest ones, by value and then index; all of the batch.
  void (*top)(const column_batch&) noexcept;
  /// Values within the batch's bounds; writes `passed` where wanted.
  std::uint64_t (*filter)(const column_batch&) noexcept;
};

/// Processors the inner loops are compiled for. one_lane is the scalar version: the same loops with
/// one number at a time, compiled without vectorisation.
enum class cpu_level : std::uint8_t { one_lane, portable, avx2, avx512 };

/// The best level that this processor runs. O(1), nothing is measured.
[[nodiscard]] cpu_level best_level() noexcept;
/// Those of a level; of the best one below it where this build or processor lacks it.
[[nodiscard]] const kernels& kernels_for(cpu_level level) noexcept;

extern const kernels one_lane_kernels, portable_kernels;
#if defined(__x86_64__)
extern const kernels avx2_kernels, avx512_kernels;
#endif

} // namespace warp::gpu
