#include "physics/related_keys.hpp"

#include "physics/coaccess_graph.hpp"
#include "physics/quantum_walk.hpp"

#include <algorithm>
#include <cassert>
#include <unordered_map>

namespace warp::physics {

std::vector<partner> related_keys(const entanglement_index& index, std::uint64_t key,
                                  std::size_t max, const relatedness_options& options) {
  assert(options.walk_time > 0 && options.walk_weight >= 0 && options.keys_max > 0);
  std::vector<partner> found{{key, 0, false}}; // numbered as in the graph; the key first
  std::unordered_map<std::uint64_t, std::uint32_t> number{{key, 0}};
  std::vector<coaccess_graph::pair> pairs;
  std::uint32_t begin = 0;
  for (int hop = 0; hop < 2; ++hop) {
    const auto end = static_cast<std::uint32_t>(found.size());
    for (; begin < end; ++begin) {
      for (const auto& p : index.partners(found[begin].key, SIZE_MAX, 0)) {
        if (p.strength <= 0) continue;
        const auto known = number.find(p.key);
        auto at = static_cast<std::uint32_t>(found.size());
        if (known != number.end()) {
          at = known->second;
        } else {
          if (found.size() >= options.keys_max) continue;
          number.emplace(p.key, at);
          found.push_back({p.key, hop == 0 ? p.strength : 0, hop == 0 && p.declared});
        }
        pairs.push_back({begin, at, static_cast<float>(p.strength)});
      }
    }
  }
  if (found.size() == 1) return {};
  const auto walk = quantum_relatedness(coaccess_graph{found.size(), pairs}, 0, options.walk_time);
  for (std::size_t i = 1; i < found.size(); ++i) found[i].strength += options.walk_weight * walk[i];
  found.erase(found.begin());
  std::ranges::sort(found, [](const partner& a, const partner& b) {
    return a.strength != b.strength ? a.strength > b.strength : a.key < b.key;
  });
  std::erase_if(found, [](const partner& p) { return p.strength <= 0; });
  if (found.size() > max) found.resize(max);
  return found;
}

} // namespace warp::physics
