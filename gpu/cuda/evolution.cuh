#pragma once

#include "gpu/cuda/angle.cuh"
#include "gpu/cuda/jobs.hpp"

namespace warp::gpu {

// Two-level evolution: four states a thread, read and written at once.

namespace evolution_kernels {

inline constexpr unsigned threads = 256;

WARP_ON_DEVICE void evolve(float amplitude, float phase, float energy, float dt, float& re,
                           float& im, float& lower) noexcept {
  float sine, cosine;
  sine_cosine(quarters_of(energy, dt, phase), sine, cosine);
  re = amplitude * cosine;
  im = -amplitude * sine; // exp(-i angle)
  lower = sqrtf((1 - amplitude) * (1 + amplitude));
}

WARP_KERNEL(threads)
evolve_all(evolution_job j) {
  const std::size_t quads = j.count / 4;
  for (std::size_t q = simt::thread_of_grid(); q < quads; q += simt::threads_of_grid()) {
    const auto amplitude = simt::read_quad(j.amplitude + q * 4);
    const auto phase = simt::read_quad(j.phase + q * 4), energy = simt::read_quad(j.energy + q * 4);
    simt::quad re, im, lower;
    for (unsigned k = 0; k < 4; ++k)
      evolve(amplitude.at[k], phase.at[k], energy.at[k], j.dt_s, re.at[k], im.at[k], lower.at[k]);
    simt::write_quad(j.upper_re + q * 4, re);
    simt::write_quad(j.upper_im + q * 4, im);
    simt::write_quad(j.lower + q * 4, lower);
  }
  const std::size_t i = quads * 4 + simt::thread_of_grid();
  if (i < j.count)
    evolve(j.amplitude[i], j.phase[i], j.energy[i], j.dt_s, j.upper_re[i], j.upper_im[i],
           j.lower[i]);
}

inline void run(const evolution_job& j, device_stream stream) {
  simt::launch(&evolve_all, simt::blocks_for(j.count, threads * 4), threads, stream, j);
}

} // namespace evolution_kernels

} // namespace warp::gpu
