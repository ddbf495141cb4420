#pragma once

#include <span>

namespace warp::physics {

/// The load of a place (a shard, a core, a node) beside what it can carry.
struct place_load {
  double load = 0;     ///< operations, bytes or CPU time; any one unit for all places; >= 0
  double capacity = 1; ///< as a multiple of the mean place, > 0
};

/// Entropy of the load: how evenly it is spread, in bits, in [0, log2 n]. p_i is the place's share
/// of the load after dividing by its capacity (Shannon 1948):
///     u_i = load_i / capacity_i;  p_i = u_i / sum(u);  H = -sum(p_i log2 p_i)
/// log2 n without any load. The order of the places does not matter. O(n).
[[nodiscard]] double entropy_bits(std::span<const place_load> places) noexcept;

/// Evenness: entropy over its maximum, unitless, in [0, 1]; 1 when every place carries the same
/// share of its capacity, for a single place and without load.
///     evenness = H / log2 n
/// It is blunt: one place of three with 30 % too much still gives 0.98; see max_over_mean().
[[nodiscard]] double evenness(std::span<const place_load> places) noexcept;

/// Divergence of the load from the capacity-proportional target, bits, >= 0, 0 exactly when every
/// place carries its share (Kullback and Leibler 1951); more sensitive than evenness.
///     l_i = load_i / sum(load), c_i = capacity_i / sum(capacity);  D = sum(l_i log2(l_i / c_i))
[[nodiscard]] double divergence_bits(std::span<const place_load> places) noexcept;

/// The fullest place as a multiple of the mean: max(load_i / capacity_i) / (sum(load) /
/// sum(capacity)). In [1, sum(capacity) / min(capacity)]; 1 without load or places.
[[nodiscard]] double max_over_mean(std::span<const place_load> places) noexcept;

} // namespace warp::physics
