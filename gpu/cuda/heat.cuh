#pragma once

#include "gpu/cuda/graph.cuh"

namespace warp::gpu {

// One step of diffusion: each node gathers from those it has links to.

namespace heat_kernels {

struct step {
  using value = float;
  heat_job job;

  WARP_ON_BOTH const graph_job& graph() const noexcept { return job.graph; }
  WARP_ON_DEVICE float own(std::size_t node) const noexcept { return job.here[node]; }
  WARP_ON_DEVICE float weight(std::size_t link) const noexcept {
    return simt::read_once(job.graph.weight + link);
  }
  WARP_ON_DEVICE float gathered(std::size_t link) const noexcept {
    return simt::reread(job.here + simt::read_once(job.graph.to + link));
  }
  WARP_ON_DEVICE static float term(float own, float weight, float there) noexcept {
    return weight * (there - own);
  }
  WARP_ON_DEVICE void finish(std::size_t node, float flow) const noexcept {
    job.next[node] = job.left * (job.here[node] + job.share * flow);
  }
};

inline void run(const heat_job& j, device_stream stream) {
  graph_kernels::run_rows(step{j}, stream);
}

} // namespace heat_kernels

} // namespace warp::gpu
