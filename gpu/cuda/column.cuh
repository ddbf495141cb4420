#pragma once

#include "gpu/cuda/jobs.hpp"

namespace warp::gpu {

// Aggregates of a column. One pass gives the sums and how many values of each tile are within the
// filter; those counts summed up say where each tile writes its indices, in a second pass. Of the
// greatest, teams keep the 32 best of a stripe, and then of those, until one stripe is left; more
// than 32 are sorted (sorting.cuh).

namespace column_kernels {

inline constexpr unsigned threads = 256, teams = threads / team_lanes;
inline constexpr unsigned rounds = column_job::tile / (threads * 4);

WARP_ON_DEVICE bool passes(const column_job& j, float v) noexcept {
  return v >= j.low && v < j.high;
}

/// Calls use(round, first index, four values, how many of them there are) for this thread's quads
/// of a tile.
template <class Use>
WARP_ON_DEVICE void for_each_quad(const column_job& j, std::size_t tile, const Use& use) noexcept {
  for (unsigned r = 0; r < rounds; ++r) {
    const std::size_t at = tile * column_job::tile + (r * threads + simt::thread()) * 4;
    const std::size_t left = at < j.count ? j.count - at : 0;
    use(at, left < 4 ? static_cast<unsigned>(left) : 4u);
  }
}

WARP_KERNEL(threads)
sums_of_tiles(column_job j) {
  WARP_SHARED double sums[teams], dots[teams];
  WARP_SHARED std::uint32_t counts[teams];
  const std::size_t tiles = column_job::tiles(j.count);
  for (std::size_t t = simt::block(); t < tiles; t += simt::blocks()) {
    double sum = 0, dot = 0;
    std::uint32_t passed = 0;
    for_each_quad(j, t, [&](std::size_t at, unsigned there) {
      if (there == 0) return;
      const auto value = simt::read_quad(j.value + at);
      for (unsigned k = 0; k < there; ++k) {
        sum += static_cast<double>(value.at[k]);
        passed += passes(j, value.at[k]);
      }
      if (j.other == nullptr) return;
      const auto other = simt::read_quad(j.other + at);
      for (unsigned k = 0; k < there; ++k)
        dot += static_cast<double>(value.at[k]) * static_cast<double>(other.at[k]);
    });
    sum = simt::team_sum(sum);
    dot = simt::team_sum(dot);
    passed = simt::team_sum(passed);
    if (simt::lane() == 0) {
      const unsigned team = simt::thread() / team_lanes;
      sums[team] = sum;
      dots[team] = dot;
      counts[team] = passed;
    }
    simt::sync_block();
    if (simt::thread() == 0) {
      for (unsigned i = 1; i < teams; ++i) {
        sum += sums[i];
        dot += dots[i];
        passed += counts[i];
      }
      j.sums[t] = sum;
      j.dots[t] = dot;
      j.passed_here[t] = passed;
    }
    simt::sync_block();
  }
}

/// One block.
WARP_KERNEL(threads)
sum_of_tiles(column_job j) {
  WARP_SHARED double sums[threads], dots[threads];
  WARP_SHARED std::uint64_t counts[threads];
  const std::size_t tiles = column_job::tiles(j.count);
  double sum = 0, dot = 0;
  std::uint64_t passed = 0;
  for (std::size_t t = simt::thread(); t < tiles; t += threads) {
    sum += j.sums[t];
    dot += j.dots[t];
    passed += j.passed_here[t];
  }
  sums[simt::thread()] = sum;
  dots[simt::thread()] = dot;
  counts[simt::thread()] = passed;
  for (unsigned half = threads / 2; half > 0; half /= 2) {
    simt::sync_block();
    if (simt::thread() < half) {
      sums[simt::thread()] += sums[simt::thread() + half];
      dots[simt::thread()] += dots[simt::thread() + half];
      counts[simt::thread()] += counts[simt::thread() + half];
    }
  }
  if (simt::thread() == 0) {
    *j.sum = sums[0];
    *j.dot = dots[0];
    *j.passed_count = counts[0];
  }
}

/// Indices of the values that pass, ascending.
WARP_KERNEL(threads)
compact_tiles(column_job j) {
  WARP_SHARED std::uint32_t of_teams[teams];
  const std::size_t tiles = column_job::tiles(j.count);
  for (std::size_t t = simt::block(); t < tiles; t += simt::blocks()) {
    std::size_t to = j.passed_before[t];
    for_each_quad(j, t, [&](std::size_t at, unsigned there) {
      const auto value = there > 0 ? simt::read_quad(j.value + at) : simt::quad{};
      std::uint32_t own = 0;
      for (unsigned k = 0; k < there; ++k) own += passes(j, value.at[k]);
      const auto running = simt::team_running_sum(own);
      if (simt::lane() == team_lanes - 1) of_teams[simt::thread() / team_lanes] = running;
      simt::sync_block();
      std::size_t place = to + running - own;
      for (unsigned i = 0; i < teams; ++i) {
        if (i < simt::thread() / team_lanes) place += of_teams[i];
        to += of_teams[i];
      }
      for (unsigned k = 0; k < there; ++k)
        if (passes(j, value.at[k])) j.passed[place++] = static_cast<std::uint32_t>(at + k);
      simt::sync_block();
    });
  }
}

// -- the greatest ---------------------------------------------------------------------------------

/// A number that orders floats as they are, 0 and -0 alike; never 0.
WARP_ON_DEVICE std::uint32_t order_of(float v) noexcept {
  const auto bits = simt::bits_as<std::uint32_t>(v == 0 ? 0.f : v);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}
/// By value, and of equals the lower index first. Index < 2^32 - 1.
WARP_ON_DEVICE std::uint64_t key_of(float v, std::uint32_t at) noexcept {
  return std::uint64_t{order_of(v)} << 32 | ~at;
}

/// The greatest 32 keys of each stripe: a team a stripe, one of them a lane, in order.
WARP_KERNEL(threads)
greatest_of_stripes(top_job j) {
  const std::size_t stripes = top_job::stripes(j.count);
  for (std::size_t s = std::size_t{simt::block()} * teams + simt::thread() / team_lanes;
       s < stripes; s += std::size_t{simt::blocks()} * teams) {
    const std::size_t begin = s * top_job::stripe, left = j.count - begin;
    const unsigned length = left < top_job::stripe ? static_cast<unsigned>(left)
                                                   : static_cast<unsigned>(top_job::stripe);
    std::uint64_t held = 0, least = 0; // least: of all lanes
    for (unsigned first = 0; first < length; first += team_lanes) {
      const std::size_t at = begin + first + simt::lane();
      std::uint64_t key = 0;
      if (first + simt::lane() < length)
        key = j.value != nullptr
                  ? key_of(simt::read_once(j.value + at), static_cast<std::uint32_t>(at))
                  : j.keys[at];
      auto waiting = simt::ballot(key > least);
      while (waiting != 0) {
        const auto next = simt::shuffle(key, simt::lowest_of(waiting));
        waiting &= waiting - 1;
        const unsigned stands = simt::count_of(simt::ballot(held > next));
        const auto above = simt::shuffle_up(held, 1);
        if (simt::lane() > stands)
          held = above;
        else if (simt::lane() == stands)
          held = next;
      }
      least = simt::shuffle(held, team_lanes - 1);
    }
    j.greatest[s * team_lanes + simt::lane()] = held;
  }
}

WARP_KERNEL(threads)
keys_of_values(top_job j) {
  for (std::size_t i = simt::thread_of_grid(); i < j.count; i += simt::threads_of_grid())
    j.all[i] = key_of(j.value[i], static_cast<std::uint32_t>(i));
}

WARP_KERNEL(threads)
names_of_keys(top_job j) {
  for (std::size_t i = simt::thread_of_grid(); i < j.named; i += simt::threads_of_grid()) {
    const auto at = ~static_cast<std::uint32_t>(j.sorted[i]);
    j.at[i] = at;
    j.at_value[i] = j.value[at];
  }
}

// -- calls ----------------------------------------------------------------------------------------

inline void run(const column_job& j, device_stream stream) {
  simt::launch(&sums_of_tiles, simt::blocks_for(column_job::tiles(j.count), 1), threads, stream, j);
  simt::launch(&sum_of_tiles, 1, threads, stream, j);
}
inline void compact(const column_job& j, device_stream stream) {
  simt::launch(&compact_tiles, simt::blocks_for(column_job::tiles(j.count), 1), threads, stream, j);
}
inline void top(const top_job& j, device_stream stream) {
  simt::launch(&greatest_of_stripes, simt::blocks_for(top_job::stripes(j.count), teams), threads,
               stream, j);
}
inline void top_keys(const top_job& j, device_stream stream) {
  simt::launch(&keys_of_values, simt::blocks_for(j.count, threads * 4), threads, stream, j);
}
inline void top_names(const top_job& j, device_stream stream) {
  simt::launch(&names_of_keys, simt::blocks_for(j.named, threads), threads, stream, j);
}

} // namespace column_kernels

} // namespace warp::gpu
