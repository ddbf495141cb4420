#pragma once

#include "physics/coaccess_graph.hpp"

#include <cstdint>
#include <span>
#include <vector>

namespace warp::physics {

/// Gravity wells: clusters of groups that fall together, because most of their co-access stays
/// among them. Placing wells instead of groups is what lets a placement leave a bad start in which
/// every group alone would gain nothing by moving.
struct gravity_wells {
  std::vector<std::uint32_t> of; ///< the well of each group, numbered 0 .. count - 1
  std::uint32_t count = 0;
};

/// Finds wells of at most `load_limit` by label propagation with a size constraint (Meyerhenke,
/// Sanders and Schulz 2014): a few rounds in which every group joins the well it is linked to
/// most. Groups with different `side` (say, where they live) never share a well; empty: one side.
/// A group heavier than the limit is a well of its own. loads: one a group, >= 0.
/// The same for the same seed. O(links) a round, six rounds.
[[nodiscard]] gravity_wells find_wells(const coaccess_graph& graph, std::span<const double> loads,
                                       double load_limit, std::span<const std::uint32_t> side,
                                       std::uint64_t seed);

} // namespace warp::physics
