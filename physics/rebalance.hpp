#pragma once

#include "physics/assign.hpp"
#include "physics/entropy.hpp"

#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace warp::physics {

/// How far a rebalancing goes once it acts: to max/mean 1.1 and no further (fewest bytes), to
/// 1.05, to 1.02. demon_options::rest_max_over_mean takes the place of 1.1; the others lie as far
/// below it.
enum class rebalance_strategy : std::uint8_t { minimal, moderate, aggressive };

/// Load over the mean that a plan of a strategy aims at, > 1, for a minimal aim > 1: 1 + (aim - 1)
/// times 1, 1/2, 1/5.
[[nodiscard]] double rebalance_aim(rebalance_strategy strategy, double minimal_aim) noexcept;

/// A group as the rebalancer sees it.
struct weighed_group {
  double load = 0;              ///< in the places' unit, >= 0
  double bytes = 0;             ///< to move, >= 0
  place_index place = no_place; ///< below the number of places
  bool fixed = false;           ///< must stay (it has just been moved, or is being moved)
};

/// What a plan would do: the dry run.
struct rebalance_prediction {
  double evenness_before = 1, evenness_after = 1;
  double max_over_mean_before = 1, max_over_mean_after = 1;
  double bytes = 0; ///< to move
  /// Load above the aim, summed over the places, that the plan takes away; in the unit of load.
  double relief = 0;
};

struct rebalance_plan {
  std::vector<group_move> moves; ///< each group at most once
  rebalance_prediction predicted;
};

struct rebalance_limits {
  double aim = 1.1; ///< max/mean to reach, > 1
  double bytes_max = std::numeric_limits<double>::infinity();
  std::size_t moves_max = std::numeric_limits<std::size_t>::max();
  /// What a move costs whatever its size, in bytes: keeps plans from picking up crumbs.
  double move_overhead_bytes = 4096;
  /// How many partial plans the search for a cheaper plan looks at.
  std::size_t search_nodes = 200'000;
};

/// A list of moves that brings max/mean (entropy.hpp) to the aim with few bytes. First a descent:
/// the fullest place gives the group that relieves it at the least bytes for its load to a place
/// with room. Then a depth-first search with bounds: what the fullest place gives away, where it
/// goes, what that place gives away in turn if it is too full now; it finds the cheapest plan on
/// small instances (up to five places, some fifteen groups) and never a worse one than the
/// descent's. Where the aim can't be reached (one group is too heavy, the budget too
/// small), what comes closest along the descent. Nothing moves when the aim is kept already.
///
/// capacities: one a place, > 0. O(groups log groups + moves x places + search_nodes x places).
/// The same for the same input.
[[nodiscard]] rebalance_plan plan_rebalance(std::span<const double> capacities,
                                            std::span<const weighed_group> groups,
                                            const rebalance_limits& limits);

} // namespace warp::physics
