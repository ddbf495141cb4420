#pragma once

#include "physics/coaccess_graph.hpp"
#include "physics/gravity.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace warp::physics {

/// A locality group, as far as placing it goes.
struct placed_group {
  std::uint64_t id = 0;         ///< for rendezvous hashing: the same for as long as the group lives
  double mass = 0;              ///< what moving it costs (mass.hpp), >= 0
  double load = 0;              ///< what it asks of its place, in any unit, >= 0
  place_index place = no_place; ///< where it lives; no_place: it is new
};

/// A place (a shard, a node) that groups can live in.
struct placement_site {
  std::uint64_t id = 0; ///< for rendezvous hashing
  double capacity = 1;  ///< multiple of the mean place, > 0
};

struct assign_options {
  std::size_t moves_max = std::numeric_limits<std::size_t>::max();
  double moved_mass_share_max = 0.05; ///< of the mass of all groups, in [0, 1]
  double max_over_mean = 1.05;        ///< load of a place over its share of the capacity, > 1
  double softening = default_softening;
  std::uint64_t seed = 1;
};

struct group_move {
  std::uint32_t group = 0;
  place_index from = no_place, to = no_place;
};

struct assignment {
  /// Where each group should live in the end: what `goal` is given next time.
  std::vector<place_index> goal;
  /// Places for the groups that had none, beyond the budget: they have to live somewhere.
  std::vector<group_move> arrivals;
  /// The next steps towards the goal, within the budget, in an order in which no place is ever
  /// above its limit by more than one group (unless it was before), also at their end.
  std::vector<group_move> moves;
  double cut_now = 0;     ///< co-access weight between places, where groups live now
  double cut_at_goal = 0; ///< the same once all moves to the goal are made
};

/// Gravity's assignment of groups to places: the most attraction (gravity.hpp), within the places'
/// capacities and a budget of moves. Incremental: groups stay unless moving takes weight off the
/// cut (ties stay), a goal is kept from round to round, and a round moves at most moves_max groups
/// of at most moved_mass_share_max of the mass. A group without co-access history never moves to
/// follow others, and a new one goes where rendezvous hashing says, or to the place with the most
/// room when that one is full.
///
/// How: a group alone seldom gains by moving out of a bad start, so groups are gathered in wells
/// (gravity_wells.hpp) level by level, the coarsest are placed, and attraction refines the result
/// level by level, groups last. Three goals are weighed against each other: the one before,
/// repaired group by group; the same improved through wells; and one from nothing (bisection.hpp).
/// The weight that is cut on the way to a goal counts as much as what is cut there, so a goal that
/// is being approached is kept while the graph drifts, and the budget not spent on going to and
/// fro. After
/// Karypis and Kumar, "A fast and high quality multilevel scheme for partitioning irregular
/// graphs" (1998), with label propagation instead of matching.
///
/// graph.groups() == groups.size(); at least one site. `goal`: of the round before, or empty;
/// entries of no_place and beyond its end mean: where the group lives. A group's load above the
/// limit of every place is tolerated: it lives where it is. The same for the same input and seed.
/// About O((groups + links) x levels); a million groups with ten links each take seconds.
[[nodiscard]] assignment assign(const coaccess_graph& graph, std::span<const placed_group> groups,
                                std::span<const placement_site> sites,
                                std::span<const place_index> goal, const assign_options& options);

} // namespace warp::physics
