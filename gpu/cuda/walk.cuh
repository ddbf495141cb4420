#pragma once

#include "gpu/cuda/graph.cuh"

namespace warp::gpu {

// Steps of the Chebyshev recurrence of a quantum walk, of one walk or of 4 or 16 side by side: then
// a node's numbers lie together, a link costs one read of 16 or 64 bytes and no gather, and a lane
// keeps four of them.

namespace walk_kernels {

inline constexpr unsigned threads = graph_kernels::threads;

// -- the graph ------------------------------------------------------------------------------------

struct degree {
  using value = double;
  degree_job job;

  WARP_ON_BOTH const graph_job& graph() const noexcept { return job.graph; }
  WARP_ON_DEVICE static double own(std::size_t) noexcept { return 0; }
  WARP_ON_DEVICE double weight(std::size_t link) const noexcept {
    return static_cast<double>(simt::reread(job.graph.weight + link));
  }
  WARP_ON_DEVICE static double gathered(std::size_t) noexcept { return 1; }
  WARP_ON_DEVICE static double term(double, double weight, double) noexcept { return weight; }
  WARP_ON_DEVICE void finish(std::size_t node, double sum) const noexcept {
    if (job.scale != nullptr) job.scale[node] = sum > 0 ? static_cast<float>(1 / sqrt(sum)) : 0;
    // Doubles >= 0 are in the order of their bits.
    if (job.largest != nullptr) simt::raise_to(job.largest, simt::bits_as<std::uint64_t>(sum));
  }
};

/// A thread a link would not know its row: 8 threads a row do.
WARP_KERNEL(threads)
normalise_links(normalise_job j) {
  constexpr unsigned lanes = 8;
  for (std::size_t node = simt::thread_of_grid() / lanes; node < j.graph.nodes;
       node += simt::threads_of_grid() / lanes) {
    const std::size_t end = j.graph.first[node + 1];
    const float own = j.scale[node];
    for (std::size_t l = j.graph.first[node] + simt::thread() % lanes; l < end; l += lanes)
      j.normalised[l] = j.graph.weight[l] * own * simt::reread(j.scale + j.graph.to[l]);
  }
}

// -- a walk alone ---------------------------------------------------------------------------------

/// next = -twice x (the gathered sum) - before x last; a node without links stays where it is.
WARP_ON_DEVICE void step_on(const walk_job& j, std::size_t at, bool lone, float gathered) noexcept {
  const float sum = lone ? j.here[at] : gathered;
  const float next = -j.twice * sum - j.before * j.last[at];
  j.next[at] = next;
  j.sum[at] += j.coefficient * next;
}

struct single_step {
  using value = float;
  walk_job job;

  WARP_ON_BOTH const graph_job& graph() const noexcept { return job.graph; }
  WARP_ON_DEVICE static float own(std::size_t) noexcept { return 0; }
  WARP_ON_DEVICE float weight(std::size_t link) const noexcept {
    return simt::read_once(job.graph.weight + link);
  }
  WARP_ON_DEVICE float gathered(std::size_t link) const noexcept {
    return simt::reread(job.here + simt::read_once(job.graph.to + link));
  }
  WARP_ON_DEVICE static float term(float, float weight, float there) noexcept {
    return weight * there;
  }
  WARP_ON_DEVICE void finish(std::size_t node, float sum) const noexcept {
    step_on(job, node, job.graph.first[node] == job.graph.first[node + 1], sum);
  }
};

// -- walks side by side ---------------------------------------------------------------------------

WARP_ON_DEVICE void add_links(const walk_job& j, unsigned column, std::size_t first,
                              std::size_t end, unsigned every, float (&sum)[4]) noexcept {
  for (std::size_t l = first; l < end; l += every) {
    const float weight = simt::reread(j.graph.weight + l);
    const auto values =
        simt::reread_quad(j.here + std::size_t{simt::reread(j.graph.to + l)} * j.width + column);
    for (unsigned k = 0; k < 4; ++k) sum[k] += weight * values.at[k];
  }
}
WARP_ON_DEVICE void step_on_quad(const walk_job& j, std::size_t node, unsigned column, bool lone,
                                 const float (&gathered)[4]) noexcept {
  const std::size_t at = node * j.width + column;
  const auto here = simt::reread_quad(j.here + at);
  auto last = simt::quad{}, sum = simt::quad{};
  for (unsigned k = 0; k < 4; ++k) {
    last.at[k] = j.last[at + k];
    sum.at[k] = j.sum[at + k];
  }
  for (unsigned k = 0; k < 4; ++k) {
    const float next = -j.twice * (lone ? here.at[k] : gathered[k]) - j.before * last.at[k];
    last.at[k] = next;
    sum.at[k] += j.coefficient * next;
  }
  simt::write_quad(j.next + at, last);
  simt::write_quad(j.sum + at, sum);
}

/// A thread for each four numbers of a node.
WARP_KERNEL(threads)
wide_rows(walk_job j) {
  const unsigned quads = j.width / 4;
  const std::size_t all = j.graph.nodes * quads;
  for (std::size_t i = simt::thread_of_grid(); i < all; i += simt::threads_of_grid()) {
    const std::size_t node = i / quads, first = simt::reread(j.graph.first + node);
    const std::size_t end = simt::reread(j.graph.first + node + 1);
    const auto column = static_cast<unsigned>(i % quads) * 4;
    if (end - first > graph_kernels::hub_links) continue;
    float sum[4] = {};
    add_links(j, column, first, end, 1, sum);
    step_on_quad(j, node, column, first == end, sum);
  }
}

/// The nodes with very many links: a block each, columns one after the other.
WARP_KERNEL(threads)
wide_hubs(walk_job j) {
  WARP_SHARED float memory[threads / team_lanes * 4];
  graph_kernels::for_each_hub(j.graph, [&](std::size_t node, std::size_t first, std::size_t end) {
    for (unsigned column = 0; column < j.width; column += 4) {
      float sum[4] = {};
      add_links(j, column, first + simt::thread(), end, threads, sum);
      graph_kernels::block_sum(sum, memory);
      if (simt::thread() == 0) step_on_quad(j, node, column, false, sum);
    }
  });
}

// -- beginning and end ----------------------------------------------------------------------------

WARP_KERNEL(threads)
begin_walks(walk_start_job j) {
  const std::size_t all = j.nodes * j.width;
  for (std::size_t i = simt::thread_of_grid(); i < all; i += simt::threads_of_grid()) {
    const std::size_t walk = i % j.width;
    const bool source = walk < j.sources && simt::reread(j.source + walk) == i / j.width;
    j.even[i] = source ? 1 : 0;
    j.real[i] = source ? j.weight : 0;
    j.odd[i] = 0;
    j.imaginary[i] = 0;
  }
}

/// Rows of walks from rows of nodes, through shared memory: both sides are read and written along.
WARP_KERNEL(threads)
end_walks(walk_end_job j) {
  constexpr unsigned nodes_of_block = 64;
  WARP_SHARED float turned[16][nodes_of_block + 1];
  for (std::size_t from = std::size_t{simt::block()} * nodes_of_block; from < j.nodes;
       from += std::size_t{simt::blocks()} * nodes_of_block) {
    const std::size_t left = j.nodes - from;
    const unsigned nodes = left < nodes_of_block ? static_cast<unsigned>(left) : nodes_of_block;
    for (unsigned i = simt::thread(); i < nodes * j.width; i += threads) {
      const float re = j.real[from * j.width + i], im = j.imaginary[from * j.width + i];
      turned[i % j.width][i / j.width] = re * re + im * im;
    }
    simt::sync_block();
    for (unsigned i = simt::thread(); i < nodes_of_block * j.width; i += threads) {
      const unsigned walk = i / nodes_of_block, node = i % nodes_of_block;
      if (walk < j.sources && node < nodes)
        j.probability[walk * j.nodes + from + node] = turned[walk][node];
    }
    simt::sync_block();
  }
}

// -- calls ----------------------------------------------------------------------------------------

inline void degrees(const degree_job& j, device_stream stream) {
  graph_kernels::run_rows(degree{j}, stream);
}
inline void normalise(const normalise_job& j, device_stream stream) {
  simt::launch(&normalise_links, simt::blocks_for(j.graph.nodes, threads / 8), threads, stream, j);
}
inline void start(const walk_start_job& j, device_stream stream) {
  simt::launch(&begin_walks, simt::blocks_for(j.nodes * j.width, threads), threads, stream, j);
}
inline void step(const walk_job& j, device_stream stream) {
  if (j.width == 1) return graph_kernels::run_rows(single_step{j}, stream);
  simt::launch(&wide_rows, simt::blocks_for(j.graph.nodes * (j.width / 4), threads), threads,
               stream, j);
  if (j.graph.hubs)
    simt::launch(&wide_hubs, graph_kernels::hub_blocks(j.graph), threads, stream, j);
}
inline void end(const walk_end_job& j, device_stream stream) {
  simt::launch(&end_walks, simt::blocks_for(j.nodes, 64), threads, stream, j);
}

} // namespace walk_kernels

} // namespace warp::gpu
