#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace warp::physics {

/// Number of a place (a shard or node) in the caller's list of places.
using place_index = std::uint32_t;
inline constexpr place_index no_place = UINT32_MAX;

/// Softening: the distance below which a place pulls no harder, unitless, > 0. Without it a place
/// that holds all partners of a group would pull with infinite force whatever its load.
inline constexpr double default_softening = 0.05;

/// Co-access distance: 1 minus the share of a group's co-access weight that goes to members of the
/// place, in [0, 1]; 1 for a group without history. weight_to_place <= weight_of_all.
[[nodiscard]] constexpr double coaccess_distance(double weight_to_place,
                                                 double weight_of_all) noexcept {
  return weight_of_all > 0 ? 1 - weight_to_place / weight_of_all : 1;
}

/// How far a place reaches: its capacity (multiple of the mean place, > 0) over 1 + its load (share
/// of its own capacity, >= 0). O(1).
template <class Real>
[[nodiscard]] constexpr Real reach_of(Real capacity, Real load) noexcept {
  return capacity / (1 + load);
}

/// The pull of so much mass x reach over a softened distance. Real: a floating-point number, or a
/// vector of them that has its operators (gpu/ computes many pairs at once). O(1).
template <class Real>
[[nodiscard]] constexpr Real pull_of(Real mass_and_reach, Real distance, Real softening) noexcept {
  return mass_and_reach / (distance * distance + softening * softening);
}

/// Attraction: how strongly a place pulls a group, >= 0, in the unit of mass. Grows with mass and
/// capacity, falls with load and distance.
///     mass x (capacity / (1 + load)) / (distance^2 + softening^2)
/// capacity: multiple of the mean place, > 0; load: share of its own capacity, >= 0; distance in
/// [0, 1]. Which place pulls hardest does not depend on the mass, which says who is placed first
/// and what a move costs. O(1).
[[nodiscard]] constexpr double attraction(double mass, double capacity, double load,
                                          double distance,
                                          double softening = default_softening) noexcept {
  return pull_of(mass * reach_of(capacity, load), distance, softening);
}

/// Where a group lives when nothing is known of it: the place with the highest score, weighted
/// rendezvous hashing (Thaler and Ravishankar 1998; weights after Schindelhauer and Schomaker
/// 2005): a place holds a share of the groups like its share of the capacity, and one that comes
/// or goes moves only the groups it gets or had.
///     score = capacity / -ln(u), u in (0, 1) by hashing the ids of group and place
/// place_ids: what names the places for as long as they live; capacities: > 0, as many. no_place
/// without places. O(places).
[[nodiscard]] place_index rendezvous_place(std::uint64_t group_id,
                                           std::span<const std::uint64_t> place_ids,
                                           std::span<const double> capacities) noexcept;

} // namespace warp::physics
