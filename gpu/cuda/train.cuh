#pragma once

#include "gpu/cuda/jobs.hpp"

namespace warp::gpu {

// One training step. The scores are there (score.cuh); a thread a row turns them into what is wrong
// with them, probability less right; then blocks sum error x feature over parts of the rows, and at
// last the parts are added up, always in the same order, and the weights take their step.

namespace train_kernels {

inline constexpr unsigned threads = 256;

WARP_KERNEL(threads)
errors_of_rows(train_job j) {
  const std::size_t classes = j.shape.classes;
  for (std::size_t r = simt::thread_of_grid(); r < j.rows; r += simt::threads_of_grid()) {
    float* const p = j.slope + r * classes;
    float most = p[0], total = 0;
    for (std::size_t c = 1; c < classes; ++c) most = p[c] > most ? p[c] : most;
    for (std::size_t c = 0; c < classes; ++c) total += expf(p[c] - most);
    const std::size_t right = j.right[r];
    for (std::size_t c = 0; c < classes; ++c)
      p[c] = expf(p[c] - most) / total - (c == right ? 1.f : 0.f);
  }
}

/// Block (part, tile of weights); as many threads a weight as there is room for, which share the
/// rows of the part. Lanes side by side have weights side by side: features are read along.
WARP_KERNEL(threads)
slopes_of_parts(train_job j, unsigned width) {
  WARP_SHARED double memory[threads];
  const std::size_t weights = j.shape.weights(), features = j.shape.features;
  const std::size_t tiles = (weights + width - 1) / width, parts = train_job::parts_of(j.rows);
  const unsigned sharing = threads / width, own = simt::thread() / width;
  for (std::size_t b = simt::block(); b < parts * tiles; b += simt::blocks()) {
    const std::size_t part = b / tiles, w = b % tiles * width + simt::thread() % width;
    const std::size_t begin = part * train_job::rows_a_part;
    const std::size_t end =
        j.rows - begin < train_job::rows_a_part ? j.rows : begin + train_job::rows_a_part;
    double sum = 0;
    if (w < weights) {
      const std::size_t c = w / (features + 1), f = w % (features + 1);
      float recent = 0;
      unsigned terms = 0;
      for (std::size_t r = begin + own; r < end; r += sharing) {
        const float error = simt::reread(j.slope + r * j.shape.classes + c);
        recent += f < features ? error * simt::reread(j.features + r * features + f) : error;
        if (++terms % 32 == 0) {
          sum += static_cast<double>(recent);
          recent = 0;
        }
      }
      sum += static_cast<double>(recent);
    }
    memory[simt::thread()] = sum;
    simt::sync_block();
    if (own == 0 && w < weights) {
      for (unsigned s = 1; s < sharing; ++s) sum += memory[s * width + simt::thread()];
      j.parts[part * weights + w] = sum;
    }
    simt::sync_block();
  }
}

/// 32 weights a block, eight threads each.
WARP_KERNEL(threads)
step_of_weights(train_job j) {
  constexpr unsigned sharing = threads / team_lanes;
  WARP_SHARED double memory[threads];
  const std::size_t weights = j.shape.weights(), parts = train_job::parts_of(j.rows);
  for (std::size_t from = std::size_t{simt::block()} * team_lanes; from < weights;
       from += std::size_t{simt::blocks()} * team_lanes) {
    const std::size_t w = from + simt::lane();
    double sum = 0;
    if (w < weights)
      for (std::size_t p = simt::thread() / team_lanes; p < parts; p += sharing)
        sum += j.parts[p * weights + w];
    memory[simt::thread()] = sum;
    simt::sync_block();
    if (simt::thread() < team_lanes && w < weights) {
      for (unsigned s = 1; s < sharing; ++s) sum += memory[s * team_lanes + simt::thread()];
      const double old = static_cast<double>(j.weights[w]);
      const double slope = sum / static_cast<double>(j.rows) + j.shrink * old;
      j.trained[w] = j.rows == 0 ? j.weights[w] : static_cast<float>(old - j.rate * slope);
    }
    simt::sync_block();
  }
}

inline void run(const train_job& j, device_stream stream) {
  const std::size_t weights = j.shape.weights();
  unsigned width = team_lanes;
  while (width < threads && width < weights) width *= 2;
  simt::launch(&errors_of_rows, simt::blocks_for(j.rows, threads), threads, stream, j);
  simt::launch(&slopes_of_parts,
               simt::blocks_for(train_job::parts_of(j.rows) * ((weights + width - 1) / width), 1),
               threads, stream, j, width);
  simt::launch(&step_of_weights, simt::blocks_for(weights, team_lanes), threads, stream, j);
}

} // namespace train_kernels

} // namespace warp::gpu
