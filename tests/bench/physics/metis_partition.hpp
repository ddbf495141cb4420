#pragma once

#include "physics/coaccess_graph.hpp"
#include "physics/gravity.hpp"

#include <cstddef>
#include <optional>
#include <span>
#include <vector>

namespace warp::bench::physics {

/// What METIS (Karypis and Kumar; k-way, its defaults) makes of the graph: the strong offline
/// anchor. max_over_mean: its load constraint. Weights become integers, the largest link 10,000.
/// Nothing where libmetis-dev was not installed when this was compiled.
std::optional<std::vector<warp::physics::place_index>>
metis_partition(const warp::physics::coaccess_graph& graph, std::span<const double> loads,
                std::size_t places, double max_over_mean);

} // namespace warp::bench::physics
