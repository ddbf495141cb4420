#pragma once

#include "gpu/cuda/jobs.hpp"

namespace warp::gpu {

// Scores of the placement model: a thread a row, eight classes at a time. Features come through
// shared memory in tiles, so that they are read along whatever the length of a row.

namespace score_kernels {

inline constexpr unsigned threads = 128, features_of_tile = 32, classes_of_round = 8;

WARP_KERNEL(threads)
score_rows(score_job j) {
  WARP_SHARED float tile[threads][features_of_tile + 1]; // + 1: no two rows in the same bank
  WARP_SHARED float weights[features_of_tile][classes_of_round];
  const std::size_t features = j.shape.features, classes = j.shape.classes;
  for (std::size_t from = std::size_t{simt::block()} * threads; from < j.rows;
       from += std::size_t{simt::blocks()} * threads) {
    const std::size_t rows_left = j.rows - from;
    const unsigned rows = rows_left < threads ? static_cast<unsigned>(rows_left) : threads;
    for (std::size_t class0 = 0; class0 < classes; class0 += classes_of_round) {
      float sum[classes_of_round] = {};
      for (std::size_t f0 = 0; f0 < features; f0 += features_of_tile) {
        const std::size_t left = features - f0;
        const unsigned width =
            left < features_of_tile ? static_cast<unsigned>(left) : features_of_tile;
        simt::sync_block();      // the tiles may still be read
        if (width == features) { // the rows lie without a gap
          for (unsigned i = simt::thread(); i < rows * width; i += threads)
            tile[i / width][i % width] = simt::read_once(j.features + from * features + i);
        } else {
          for (unsigned i = simt::thread(); i < rows * features_of_tile; i += threads) {
            const unsigned row = i / features_of_tile, f = i % features_of_tile;
            if (f < width)
              tile[row][f] = simt::read_once(j.features + (from + row) * features + f0 + f);
          }
        }
        for (unsigned i = simt::thread(); i < features_of_tile * classes_of_round; i += threads) {
          const unsigned c = i / features_of_tile, f = i % features_of_tile;
          if (f < width)
            weights[f][c] =
                class0 + c < classes ? j.weights[(class0 + c) * (features + 1) + f0 + f] : 0.f;
        }
        simt::sync_block();
        if (simt::thread() < rows)
          for (unsigned f = 0; f < width; ++f) {
            const float x = tile[simt::thread()][f];
            for (unsigned c = 0; c < classes_of_round; ++c) sum[c] += weights[f][c] * x;
          }
      }
      if (simt::thread() < rows)
        for (unsigned c = 0; c < classes_of_round; ++c)
          if (class0 + c < classes)
            j.score[(from + simt::thread()) * classes + class0 + c] =
                sum[c] + j.weights[(class0 + c) * (features + 1) + features];
    }
  }
}

inline void run(const score_job& j, device_stream stream) {
  simt::launch(&score_rows, simt::blocks_for(j.rows, threads), threads, stream, j);
}

} // namespace score_kernels

} // namespace warp::gpu
