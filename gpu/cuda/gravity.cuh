#pragma once

#include "gpu/cuda/jobs.hpp"
#include "physics/gravity.hpp"

namespace warp::gpu {

// A group of lanes goes along a row of weights, which is read once; what the places have in common
// for all rows, their reach, lies in shared memory, in two tiles: while one is used the next is
// read. No matrix is written unless it is asked for.

namespace gravity_kernels {

inline constexpr unsigned threads = 256, tile = 1024, reads = tile / threads;

/// A float whose quotient is the device's quick one: the formula is that of physics/.
struct quick {
  float v;
  friend constexpr quick operator*(quick a, quick b) noexcept { return {a.v * b.v}; }
  friend constexpr quick operator+(quick a, quick b) noexcept { return {a.v + b.v}; }
  WARP_ON_BOTH friend constexpr quick operator/(quick a, quick b) noexcept {
#if defined(__CUDA_ARCH__)
    if (!__builtin_is_constant_evaluated()) return {simt::quick_quotient(a.v, b.v)};
#endif
    return {a.v / b.v};
  }
};

WARP_ON_DEVICE float pull(float reach, float weight, float share, float softening) noexcept {
  const float distance = 1 - weight * share;
  return physics::pull_of(quick{reach}, quick{distance}, quick{softening}).v;
}

/// The reach of the places of a tile, read by the whole block; 0 past the last.
class reach_tiles {
public:
  WARP_ON_DEVICE reach_tiles(const gravity_job& j, float* memory) noexcept
      : j_(j), memory_(memory), count_((j.places + tile - 1) / tile) {
    if (count_ > 0) read(0);
    write(0);
    simt::sync_block();
  }

  WARP_ON_DEVICE std::size_t count() const noexcept { return count_; }
  WARP_ON_DEVICE const float* reach() const noexcept { return memory_ + now_ * tile; }
  /// All threads together, before and behind the use of tile `at`; the next one is that after it,
  /// or again the first.
  WARP_ON_DEVICE void begin(std::size_t at) noexcept {
    if (count_ > 1) read(at + 1 < count_ ? at + 1 : 0);
  }
  WARP_ON_DEVICE void end() noexcept {
    if (count_ < 2) return;
    write(now_ ^ 1);
    simt::sync_block();
    now_ ^= 1;
  }

private:
  WARP_ON_DEVICE void read(std::size_t at) noexcept {
    for (unsigned i = 0; i < reads; ++i) {
      const std::size_t p = at * tile + i * threads + simt::thread();
      held_[i] = p < j_.places ? physics::reach_of(j_.capacity[p], j_.load[p]) : 0.f;
    }
  }
  WARP_ON_DEVICE void write(unsigned to) noexcept {
    for (unsigned i = 0; i < reads; ++i)
      memory_[to * tile + i * threads + simt::thread()] = held_[i];
  }

  const gravity_job& j_;
  float* memory_;
  std::size_t count_;
  unsigned now_ = 0;
  float held_[reads] = {};
};

/// The one place that pulls hardest: `Lanes` threads a row, two rows at once, four places a read
/// where rows begin at multiples of 16 bytes.
template <unsigned Lanes, bool Quads>
WARP_KERNEL(threads)
best_of_rows(gravity_job j) {
  WARP_SHARED float memory[2 * tile];
  constexpr unsigned rows = 2, rows_of_block = threads / Lanes * rows, step = Quads ? 4 : 1;
  reach_tiles tiles{j, memory};
  const unsigned lane = simt::thread() % Lanes, own = simt::thread() / Lanes * rows;
  for (std::size_t from = std::size_t{simt::block()} * rows_of_block; from < j.groups;
       from += std::size_t{simt::blocks()} * rows_of_block) {
    float share[rows], best[rows];
    std::uint32_t at[rows];
    const float* weights[rows];
    for (unsigned r = 0; r < rows; ++r) {
      // Beyond the last row the last one is read again, and not written.
      const std::size_t row = from + own + r < j.groups ? from + own + r : j.groups - 1;
      const float all = j.weight_of_all[row];
      share[r] = all > 0 ? 1 / all : 0;
      weights[r] = j.weight_to_place + row * j.places;
      best[r] = -1;
      at[r] = physics::no_place;
    }
    for (std::size_t t = 0; t < tiles.count(); ++t) {
      tiles.begin(t);
      const std::size_t begin = t * tile, left = j.places - begin;
      const unsigned end = left < tile ? static_cast<unsigned>(left) : tile;
      const float* const reach = tiles.reach();
      for (unsigned p = lane * step; p < end; p += Lanes * step) {
        float weight[rows][step];
        for (unsigned r = 0; r < rows; ++r) {
          if constexpr (Quads) {
            const auto q = simt::read_quad(weights[r] + begin + p);
            for (unsigned k = 0; k < 4; ++k) weight[r][k] = q.at[k];
          } else {
            weight[r][0] = simt::read_once(weights[r] + begin + p);
          }
        }
        for (unsigned k = 0; k < step; ++k)
          for (unsigned r = 0; r < rows; ++r) {
            const float force = pull(reach[p + k], weight[r][k], share[r], j.softening);
            if (force > best[r]) {
              best[r] = force;
              at[r] = static_cast<std::uint32_t>(begin) + p + k;
            }
          }
      }
      tiles.end();
    }
    for (unsigned r = 0; r < rows; ++r) {
      for (unsigned d = Lanes / 2; d > 0; d /= 2) {
        const float other = simt::shuffle_xor(best[r], d);
        const auto other_at = simt::shuffle_xor(at[r], d);
        if (other > best[r] || (other == best[r] && other_at < at[r])) {
          best[r] = other;
          at[r] = other_at;
        }
      }
      const std::size_t row = from + own + r;
      if (lane == 0 && row < j.groups) {
        j.place[row] = at[r];
        j.score[row] = j.places == 0 ? 0 : j.mass[row] * best[r];
      }
    }
  }
}

/// The hardest 32 that were offered so far, in order, one a lane; those that come later are behind
/// those alike.
struct hardest {
  float pull = -1;
  std::uint32_t place = physics::no_place;

  /// All lanes of a team together: each offers one place, higher lanes later ones.
  WARP_ON_DEVICE void offer(bool any, float force, std::uint32_t at) noexcept {
    const float least = simt::shuffle(pull, team_lanes - 1);
    auto waiting = simt::ballot(any && force > least);
    while (waiting != 0) {
      const unsigned from = simt::lowest_of(waiting);
      waiting &= waiting - 1;
      const float new_pull = simt::shuffle(force, from);
      const auto new_place = simt::shuffle(at, from);
      const unsigned stands = simt::count_of(simt::ballot(pull >= new_pull));
      const float above = simt::shuffle_up(pull, 1);
      const auto place_above = simt::shuffle_up(place, 1);
      if (simt::lane() > stands) {
        pull = above;
        place = place_above;
      } else if (simt::lane() == stands) {
        pull = new_pull;
        place = new_place;
      }
    }
  }
};

/// All attractions and the `top` hardest: a team a row, which goes along it once for every 32.
WARP_KERNEL(threads, 4)
field_of_rows(gravity_job j) {
  WARP_SHARED float memory[2 * tile];
  constexpr unsigned rows_of_block = threads / team_lanes;
  reach_tiles tiles{j, memory};
  const unsigned lane = simt::lane(), own = simt::thread() / team_lanes;
  for (std::size_t from = std::size_t{simt::block()} * rows_of_block; from < j.groups;
       from += std::size_t{simt::blocks()} * rows_of_block) {
    const std::size_t row = from + own;
    const bool live = row < j.groups; // the same in the whole team
    const float all = live ? j.weight_of_all[row] : 0, share = all > 0 ? 1 / all : 0;
    const float mass = live ? j.mass[row] : 0;
    const float* const weights = j.weight_to_place + (live ? row : 0) * j.places;
    float last_pull = 0;
    std::uint32_t last_place = 0;
    std::size_t named = 0;
    do {
      hardest found;
      for (std::size_t t = 0; t < tiles.count(); ++t) {
        tiles.begin(t);
        const std::size_t begin = t * tile, left = j.places - begin;
        const unsigned end = left < tile ? static_cast<unsigned>(left) : tile;
        const float* const reach = tiles.reach();
        for (unsigned first = 0; live && first < end; first += team_lanes) {
          const unsigned p = first + lane;
          const auto place = static_cast<std::uint32_t>(begin + p);
          const bool there = p < end;
          const float force =
              there ? pull(reach[p], simt::reread(weights + begin + p), share, j.softening) : 0;
          if (named == 0 && j.field != nullptr && there)
            j.field[row * j.places + begin + p] = mass * force;
          if (j.top == 0) continue;
          const bool after =
              named == 0 || force < last_pull || (force == last_pull && place > last_place);
          found.offer(there && after, force, place);
        }
        tiles.end();
      }
      if (live && named + lane < j.top) {
        j.place[row * j.top + named + lane] = found.place;
        j.score[row * j.top + named + lane] = found.pull < 0 ? 0 : mass * found.pull;
      }
      last_pull = simt::shuffle(found.pull, team_lanes - 1);
      last_place = simt::shuffle(found.place, team_lanes - 1);
      named += team_lanes;
      // Where the places have run out the rest is no_place: nothing comes after a pull of -1.
    } while (named < j.top);
  }
}

template <unsigned Lanes>
void best_of(const gravity_job& j, device_stream stream) {
  const auto blocks = simt::blocks_for(j.groups, threads / Lanes * 2);
  if (j.places % 4 == 0)
    simt::launch(&best_of_rows<Lanes, true>, blocks, threads, stream, j);
  else
    simt::launch(&best_of_rows<Lanes, false>, blocks, threads, stream, j);
}

inline void run(const gravity_job& j, device_stream stream) {
  if (j.top != 1 || j.field != nullptr)
    simt::launch(&field_of_rows, simt::blocks_for(j.groups, threads / team_lanes), threads, stream,
                 j);
  else if (j.places <= 32)
    best_of<8>(j, stream);
  else if (j.places <= 64)
    best_of<16>(j, stream);
  else
    best_of<32>(j, stream);
}

} // namespace gravity_kernels

} // namespace warp::gpu
