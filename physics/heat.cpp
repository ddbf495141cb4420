#include "physics/heat.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <cstdint>
#include <utility>

namespace warp::physics {

std::size_t heat_steps(const heat_settings& settings, double degree_max) noexcept {
  const double steps = std::ceil(2 * settings.conductivity * settings.dt_s * degree_max);
  if (!(steps < static_cast<double>(heat_steps_max))) return heat_steps_max + 1;
  return std::max<std::size_t>(static_cast<std::size_t>(steps), 1);
}

double heat_left(const heat_settings& settings) noexcept {
  return std::exp(-settings.decay_per_s * settings.dt_s);
}

std::vector<double> diffused(const coaccess_graph& graph, std::span<const double> temperature,
                             const heat_settings& settings) {
  assert(temperature.size() == graph.groups());
  double degree_max = 0;
  for (std::size_t g = 0; g < graph.groups(); ++g)
    degree_max = std::max(degree_max, graph.weight_of(g));
  const auto steps = heat_steps(settings, degree_max);
  assert(steps <= heat_steps_max);
  const double share = settings.conductivity * settings.dt_s / static_cast<double>(steps);
  std::vector<double> here(temperature.begin(), temperature.end()), next(here.size());
  for (std::size_t s = 0; s < steps; ++s) {
    for (std::size_t g = 0; g < here.size(); ++g) {
      double flow = 0;
      for (const auto& l : graph.of(g))
        flow += static_cast<double>(l.weight) * (here[l.to] - here[g]);
      next[g] = here[g] + share * flow;
    }
    std::swap(here, next);
  }
  const double left = heat_left(settings);
  for (auto& t : here) t *= left;
  return here;
}

} // namespace warp::physics
