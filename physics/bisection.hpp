#pragma once

#include "physics/coaccess_graph.hpp"
#include "physics/gravity.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace warp::physics {

/// Divides the groups among places from nothing, so that little co-access weight is cut: the
/// places are halved again and again, and with them the groups, by growing one half from a seed
/// and improving the border (Kernighan and Lin 1970, in the linear form of Fiduccia and
/// Mattheyses 1982). What each place gets is near its share of the capacity, within a few per cent
/// where the groups are small enough.
///
/// loads: one a group, >= 0. capacities: one a place, > 0, at least one. The same for the same
/// seed. O(links x log places x log links); made for the few thousand wells of a coarsened graph.
[[nodiscard]] std::vector<place_index> bisect(const coaccess_graph& graph,
                                              std::span<const double> loads,
                                              std::span<const double> capacities,
                                              std::uint64_t seed);

} // namespace warp::physics
