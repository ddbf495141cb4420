#include "tests/bench/physics/metis_partition.hpp"

#if defined(WARP_BENCH_METIS)
#include <metis.h>
#endif

#include <algorithm>
#include <cmath>

namespace warp::bench::physics {

#if defined(WARP_BENCH_METIS)

std::optional<std::vector<warp::physics::place_index>>
metis_partition(const warp::physics::coaccess_graph& graph, std::span<const double> loads,
                std::size_t places, double max_over_mean) {
  auto nodes = static_cast<idx_t>(graph.groups());
  idx_t constraints = 1, parts = static_cast<idx_t>(places), cut = 0;
  std::vector<idx_t> first{0}, to, weight, load;
  float largest = 0;
  for (std::size_t g = 0; g < graph.groups(); ++g)
    for (const auto& l : graph.of(g)) largest = std::max(largest, l.weight);
  for (std::size_t g = 0; g < graph.groups(); ++g) {
    for (const auto& l : graph.of(g)) {
      to.push_back(static_cast<idx_t>(l.to));
      weight.push_back(std::max<idx_t>(1, static_cast<idx_t>(l.weight / largest * 10'000)));
    }
    first.push_back(static_cast<idx_t>(to.size()));
    load.push_back(static_cast<idx_t>(std::lround(loads[g])));
  }
  idx_t options[METIS_NOPTIONS];
  METIS_SetDefaultOptions(options);
  options[METIS_OPTION_SEED] = 1;
  auto tolerance = static_cast<real_t>(max_over_mean);
  std::vector<idx_t> part(graph.groups());
  if (METIS_PartGraphKway(&nodes, &constraints, first.data(), to.data(), load.data(), nullptr,
                          weight.data(), &parts, nullptr, &tolerance, options, &cut,
                          part.data()) != METIS_OK)
    return std::nullopt;
  return std::vector<warp::physics::place_index>(part.begin(), part.end());
}

#else

std::optional<std::vector<warp::physics::place_index>>
metis_partition(const warp::physics::coaccess_graph&, std::span<const double>, std::size_t,
                double) {
  return std::nullopt;
}

#endif

} // namespace warp::bench::physics
