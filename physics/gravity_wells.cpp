#include "physics/gravity_wells.hpp"

#include "physics/mixing.hpp"

#include <cassert>
#include <numeric>

namespace warp::physics {

gravity_wells find_wells(const coaccess_graph& graph, std::span<const double> loads,
                         double load_limit, std::span<const std::uint32_t> side,
                         std::uint64_t seed) {
  const auto n = static_cast<std::uint32_t>(graph.groups());
  assert(loads.size() == n && (side.empty() || side.size() == n));
  constexpr int rounds = 6;
  gravity_wells wells;
  wells.of.resize(n);
  std::iota(wells.of.begin(), wells.of.end(), 0u);
  std::vector<double> load(loads.begin(), loads.end());
  std::vector<std::uint32_t> order(wells.of);
  std::vector<float> pull(n, 0);
  std::vector<std::uint32_t> near;
  mixed_sequence random{seed};
  for (int round = 0; round < rounds; ++round) {
    shuffle(std::span{order}, random);
    std::uint32_t changed = 0;
    for (const auto g : order) {
      const auto links = graph.of(g);
      if (links.empty()) continue;
      near.clear();
      for (const auto& l : links) {
        if (!side.empty() && side[l.to] != side[g]) continue;
        const auto well = wells.of[l.to];
        if (pull[well] == 0) near.push_back(well);
        pull[well] += l.weight;
      }
      const auto own = wells.of[g];
      auto best = own;
      float most = pull[own];
      for (const auto well : near)
        if (well != own && pull[well] > most && load[well] + loads[g] <= load_limit) {
          best = well;
          most = pull[well];
        }
      for (const auto well : near) pull[well] = 0;
      if (best == own) continue;
      load[own] -= loads[g];
      load[best] += loads[g];
      wells.of[g] = best;
      ++changed;
    }
    if (changed < n / 100) break;
  }

  constexpr auto unnamed = UINT32_MAX;
  std::vector<std::uint32_t> name(n, unnamed);
  for (auto& well : wells.of) {
    if (name[well] == unnamed) name[well] = wells.count++;
    well = name[well];
  }
  return wells;
}

} // namespace warp::physics
