#pragma once

#include "gpu/cuda/jobs.hpp"

namespace warp::gpu {

// One pass over the buckets, in tiles of one length whatever the lengths of the segments: a team a
// tile. The part of a segment in the tile where it begins is kept with the segment, a part in a
// later tile with that tile, and a second kernel over the segments adds them up, always in the same
// order. So a segment of any length, and any mixture of them, keeps all of the device busy.

namespace entropy_kernels {

inline constexpr unsigned threads = 256, teams = threads / team_lanes;

/// Which segment bucket `at` lies in: the last one that begins there or before. All lanes of a team
/// together: each round leaves a 32nd of the segments.
WARP_ON_DEVICE std::size_t segment_of(const entropy_job& j, std::size_t at) noexcept {
  std::size_t from = 0, count = j.segments; // it is one of these
  while (count > 1) {
    const std::size_t step = (count + team_lanes - 1) / team_lanes;
    const std::size_t probe = simt::lane() * step;
    const auto before = simt::ballot(probe < count && simt::reread(j.first + from + probe) <= at);
    const std::size_t stripe = simt::count_of(before) - 1; // the lowest lane always answers yes
    from += stripe * step;
    count = count - stripe * step < step ? count - stripe * step : step;
  }
  return from;
}

/// u log2 u and its like: 0 where u is.
WARP_ON_DEVICE float log_of(float u) noexcept {
  return u > 0 ? log2f(u) : 0;
}

/// Sums of 16 buckets at most in float, of more in double.
struct lately {
  float use = 0, use_log = 0, load = 0, load_log = 0, capacity = 0;

  WARP_ON_DEVICE void add(float l, float c) noexcept {
    const float u = l / c, log = log_of(u);
    use += u;
    use_log += u * log;
    load += l;
    load_log += l * log;
    capacity += c;
  }
  WARP_ON_DEVICE void flush(bucket_sums& to) noexcept {
    to.use += static_cast<double>(use);
    to.use_log += static_cast<double>(use_log);
    to.load += static_cast<double>(load);
    to.load_log += static_cast<double>(load_log);
    to.capacity += static_cast<double>(capacity);
    *this = {};
  }
};

WARP_ON_DEVICE void add(bucket_sums& to, const bucket_sums& more) noexcept {
  to.use += more.use;
  to.use_log += more.use_log;
  to.load += more.load;
  to.load_log += more.load_log;
  to.capacity += more.capacity;
}
/// All lanes of a team together: the sums of all of them, in each lane.
WARP_ON_DEVICE bucket_sums team_sum(const bucket_sums& own) noexcept {
  return {simt::team_sum(own.use), simt::team_sum(own.use_log), simt::team_sum(own.load),
          simt::team_sum(own.load_log), simt::team_sum(own.capacity)};
}

/// Float has no digits left for such sums: loads of almost nothing, or of almost all that fits.
WARP_ON_DEVICE bool beyond_float(const bucket_sums& s) noexcept {
  const auto usual = [](double sum) { return sum >= 1e-12 && sum <= 1e30; };
  return s.capacity > 0 && !(usual(s.use) && usual(s.load) && s.capacity <= 1e30);
}

/// Sums of the buckets begin .. end. All lanes of a team together.
WARP_ON_DEVICE bucket_sums sums_of(const entropy_job& j, std::size_t begin,
                                   std::size_t end) noexcept {
  bucket_sums own;
  lately recent;
  unsigned reads = 0;
  // Four at once from the multiple of four before the beginning; what lies outside is left out.
  for (std::size_t i = begin / 4 * 4 + simt::lane() * 4; i < end; i += team_lanes * 4) {
    const auto load = simt::read_quad(j.load + i), capacity = simt::read_quad(j.capacity + i);
    for (unsigned k = 0; k < 4; ++k)
      if (i + k >= begin && i + k < end) recent.add(load.at[k], capacity.at[k]);
    if (++reads % 4 == 0) recent.flush(own);
  }
  recent.flush(own);
  const auto sums = team_sum(own);
  if (!beyond_float(sums)) return sums;
  bucket_sums exact;
  for (std::size_t i = begin + simt::lane(); i < end; i += team_lanes) {
    const double l = static_cast<double>(j.load[i]), c = static_cast<double>(j.capacity[i]);
    const double u = l / c, log = u > 0 ? log2(u) : 0;
    add(exact, {u, u * log, l, l * log, c});
  }
  return team_sum(exact);
}

WARP_KERNEL(threads)
sums_of_tiles(entropy_job j) {
  const std::size_t tiles = entropy_job::tiles(j.buckets);
  for (std::size_t t = std::size_t{simt::block()} * teams + simt::thread() / team_lanes; t < tiles;
       t += std::size_t{simt::blocks()} * teams) {
    const std::size_t begin = t * entropy_job::tile;
    const std::size_t end =
        j.buckets - begin < entropy_job::tile ? j.buckets : begin + entropy_job::tile;
    std::size_t s = segment_of(j, begin);
    for (std::size_t from = begin; from < end; ++s) {
      const std::size_t segment_end = simt::reread(j.first + s + 1);
      if (segment_end <= from) continue; // it is empty
      const std::size_t to = segment_end < end ? segment_end : end;
      const auto sums = sums_of(j, from, to);
      if (simt::lane() == 0) {
        if (simt::reread(j.first + s) >= begin)
          j.head[s] = sums;
        else
          j.carry[t] = sums;
      }
      from = to;
    }
  }
}

WARP_ON_DEVICE void finish(const entropy_job& j, std::size_t s, std::size_t buckets,
                           const bucket_sums& sums) noexcept {
  const double most = buckets == 0 ? 0 : log2(static_cast<double>(buckets));
  double bits = most;
  if (sums.use > 0) {
    bits = log2(sums.use) - sums.use_log / sums.use;
    bits = bits < 0 ? 0 : bits > most ? most : bits;
  }
  double apart = 0;
  if (sums.load > 0) {
    apart = sums.load_log / sums.load - log2(sums.load / sums.capacity);
    apart = apart < 0 ? 0 : apart;
  }
  j.entropy_bits[s] = bits;
  j.evenness[s] = buckets < 2 ? 1 : bits / most;
  j.divergence_bits[s] = apart;
}

/// A thread a segment; those that go through many tiles are summed by the team.
WARP_KERNEL(threads)
results_of_segments(entropy_job j) {
  constexpr std::size_t alone_max = 8; // tiles that one thread adds up
  for (std::size_t from = simt::thread_of_grid() - simt::lane(); from < j.segments;
       from += simt::threads_of_grid()) {
    const std::size_t s = from + simt::lane();
    const bool there = s < j.segments;
    const std::size_t begin = there ? j.first[s] : 0, end = there ? j.first[s + 1] : 0;
    std::size_t tile = 1, tiles_end = 0; // those with a carry of it
    bucket_sums sums;
    if (begin < end) {
      sums = j.head[s];
      tile = begin / entropy_job::tile + 1;
      tiles_end = (end - 1) / entropy_job::tile + 1;
    }
    const bool is_long = tiles_end > tile + alone_max;
    for (; !is_long && tile < tiles_end; ++tile) add(sums, j.carry[tile]);
    auto waiting = simt::ballot(is_long);
    while (waiting != 0) {
      const unsigned owner = simt::lowest_of(waiting);
      waiting &= waiting - 1;
      const auto first = simt::shuffle(tile, owner), last = simt::shuffle(tiles_end, owner);
      bucket_sums part;
      for (std::size_t t = first + simt::lane(); t < last; t += team_lanes) add(part, j.carry[t]);
      const auto all = team_sum(part);
      if (simt::lane() == owner) add(sums, all);
    }
    if (there) finish(j, s, end - begin, sums);
  }
}

inline void run(const entropy_job& j, device_stream stream) {
  simt::launch(&sums_of_tiles, simt::blocks_for(entropy_job::tiles(j.buckets), teams), threads,
               stream, j);
  simt::launch(&results_of_segments, simt::blocks_for(j.segments, threads), threads, stream, j);
}

} // namespace entropy_kernels

} // namespace warp::gpu
