#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace warp::physics {

/// The parameters of the event horizon: who stays in memory. A value; horizon_fitter.hpp re-fits
/// small_share and ghost_share while it runs.
///
/// The defaults start from S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction",
/// SOSP 2023: small 0.1, ghosts 0.9, every hit counts, two hits to stay). They were chosen on
/// sixteen public traces (block I/O, file systems, databases, web sites) beside the shared ones, on
/// which `tests/bench/run physics horizon` prints both.
struct horizon_settings {
  /// The small queue, in which what is new is on trial: its share of the capacity, in (0, 1).
  /// What is left of it beside the window is about S3-FIFO's.
  double small_share = 0.12;
  /// Keys remembered after their demotion from the small queue, as a multiple of the residents,
  /// >= 0. 0.9 is what S3-FIFO remembers.
  double ghost_share = 0.9;
  /// The youngest part of the small queue, as a share of it, in [0, 1): hits there are not counted,
  /// because the next few uses of a new key belong to the one that brought it (the correlated
  /// references of 2Q and of Clock2Q+). 0: every hit counts.
  double window_share = 0.25;
  /// Counted hits that make a key stay when it leaves the small queue: 1 or 2.
  std::uint32_t hits_to_stay = 1;
  /// While the main queue has room, one of so many keys that leave the small queue without a hit
  /// stays as well: a loop longer than the capacity and its ghosts would otherwise never be
  /// remembered, however often it comes round (bimodal insertion, Qureshi et al., ISCA 2007).
  /// 0: none does.
  std::uint32_t fill_every = 8;

  friend bool operator==(const horizon_settings&, const horizon_settings&) = default;
};

/// What settings mean at a capacity, in bytes: as much as each queue may hold before it is the one
/// that gives way, the youngest part of the small one, and ghosts for each resident, times 2^16.
struct horizon_limits {
  std::uint64_t small = 0, main = 0, window = 0, ghosts_a_resident = 0;
};
[[nodiscard]] inline horizon_limits limits_of(const horizon_settings& s,
                                              std::uint64_t capacity) noexcept {
  horizon_limits l;
  l.small = static_cast<std::uint64_t>(static_cast<double>(capacity) * s.small_share);
  l.small = std::clamp<std::uint64_t>(l.small, 1, std::max<std::uint64_t>(capacity, 1));
  l.main = capacity - std::min(capacity, l.small);
  l.window = static_cast<std::uint64_t>(std::ceil(s.window_share * static_cast<double>(l.small)));
  l.ghosts_a_resident = static_cast<std::uint64_t>(std::min(s.ghost_share, 1e3) * 0x1p16);
  return l;
}

} // namespace warp::physics
