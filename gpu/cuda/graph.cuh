#pragma once

#include "gpu/cuda/jobs.hpp"

namespace warp::gpu {

// Going through a graph by rows. What limits it is how many gathers are under way: a group of lanes
// takes a row and sums its links four at a time. A node with very many links would keep its group
// busy long after all others: those rows are taken by whole blocks.

namespace graph_kernels {

inline constexpr unsigned threads = 256;
inline constexpr std::size_t hub_links = graph_job::hub_links;

/// The sum over all threads of a block, of `values` each, in the first thread; they meet in
/// `memory` of threads / 32 x values.
template <unsigned Values, class T>
WARP_ON_DEVICE void block_sum(T (&v)[Values], T* memory) noexcept {
  constexpr unsigned teams = threads / team_lanes;
  for (unsigned i = 0; i < Values; ++i) v[i] = simt::team_sum(v[i]);
  simt::sync_block(); // the memory may still be read
  if (simt::lane() == 0)
    for (unsigned i = 0; i < Values; ++i) memory[simt::thread() / team_lanes * Values + i] = v[i];
  simt::sync_block();
  if (simt::thread() == 0)
    for (unsigned t = 1; t < teams; ++t)
      for (unsigned i = 0; i < Values; ++i) v[i] += memory[t * Values + i];
}

/// Sum over the links first .. end, every `lanes`-th from `lane` on. Four at once are under way:
/// past the end the last link is read again and weighs nothing.
template <class Op>
WARP_ON_DEVICE typename Op::value links_sum(const Op& op, typename Op::value own, std::size_t first,
                                            std::size_t end, unsigned lane,
                                            unsigned lanes) noexcept {
  using value = typename Op::value;
  value sum[4] = {};
  for (std::size_t l = first + lane; l < end; l += 4 * std::size_t{lanes}) {
    value weight[4], there[4];
    for (unsigned k = 0; k < 4; ++k) {
      const std::size_t at = l + k * std::size_t{lanes};
      const std::size_t link = at < end ? at : end - 1;
      weight[k] = at < end ? op.weight(link) : value{};
      there[k] = op.gathered(link);
    }
    for (unsigned k = 0; k < 4; ++k) sum[k] += op.term(own, weight[k], there[k]);
  }
  return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

/// op.finish(node, sum) for every node: `Lanes` threads a row.
template <class Op, unsigned Lanes>
WARP_KERNEL(threads)
rows(Op op) {
  constexpr unsigned rows_of_block = threads / Lanes;
  const auto& g = op.graph();
  const unsigned lane = simt::thread() % Lanes;
  for (std::size_t from = std::size_t{simt::block()} * rows_of_block; from < g.nodes;
       from += std::size_t{simt::blocks()} * rows_of_block) {
    const std::size_t node = from + simt::thread() / Lanes;
    const bool there = node < g.nodes;
    const std::size_t first = there ? simt::reread(g.first + node) : 0;
    const std::size_t end = there ? simt::reread(g.first + node + 1) : 0;
    const bool hub = end - first > hub_links;
    const typename Op::value own = there ? op.own(node) : 0;
    const auto part = links_sum(op, own, first, hub ? first : end, lane, Lanes);
    const auto sum = simt::team_sum(part, Lanes);
    if (there && !hub && lane == 0) op.finish(node, sum);
  }
}

/// Calls use(node, first, end) for each hub, the whole block together; blocks share the nodes.
template <class Use>
WARP_ON_DEVICE void for_each_hub(const graph_job& g, const Use& use) noexcept {
  constexpr unsigned teams = threads / team_lanes;
  WARP_SHARED std::uint32_t found[teams];
  for (std::size_t from = std::size_t{simt::block()} * threads; from < g.nodes;
       from += std::size_t{simt::blocks()} * threads) {
    const std::size_t own = from + simt::thread();
    const auto of_team = simt::ballot(
        own < g.nodes && simt::reread(g.first + own + 1) - simt::reread(g.first + own) > hub_links);
    simt::sync_block(); // it may still be read
    if (simt::lane() == 0) found[simt::thread() / team_lanes] = of_team;
    simt::sync_block();
    for (unsigned t = 0; t < teams; ++t)
      for (auto waiting = found[t]; waiting != 0; waiting &= waiting - 1) {
        const std::size_t node = from + t * team_lanes + simt::lowest_of(waiting);
        use(node, simt::reread(g.first + node), simt::reread(g.first + node + 1));
      }
  }
}

/// The same for the nodes with very many links.
template <class Op>
WARP_KERNEL(threads)
hubs(Op op) {
  WARP_SHARED typename Op::value memory[threads / team_lanes];
  for_each_hub(op.graph(), [&](std::size_t node, std::size_t first, std::size_t end) {
    typename Op::value sum[1] = {links_sum(op, op.own(node), first, end, simt::thread(), threads)};
    block_sum(sum, memory);
    if (simt::thread() == 0) op.finish(node, sum[0]);
  });
}

/// Blocks that look for hubs.
inline std::size_t hub_blocks(const graph_job& g) noexcept {
  return simt::blocks_for(g.nodes, threads, 1024);
}

/// Both, with as many lanes that most rows take one round.
template <class Op>
void run_rows(const Op& op, device_stream stream) {
  const auto& g = op.graph();
  const auto blocks = [&](unsigned lanes) { return simt::blocks_for(g.nodes, threads / lanes); };
  if (g.links <= 8 * g.nodes)
    simt::launch(&rows<Op, 2>, blocks(2), threads, stream, op);
  else if (g.links <= 24 * g.nodes)
    simt::launch(&rows<Op, 4>, blocks(4), threads, stream, op);
  else if (g.links <= 64 * g.nodes)
    simt::launch(&rows<Op, 8>, blocks(8), threads, stream, op);
  else
    simt::launch(&rows<Op, 32>, blocks(32), threads, stream, op);
  if (g.hubs) simt::launch(&hubs<Op>, hub_blocks(g), threads, stream, op);
}

} // namespace graph_kernels

} // namespace warp::gpu
