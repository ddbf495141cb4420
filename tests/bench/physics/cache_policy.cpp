#include "tests/bench/physics/cache_policy.hpp"

#include <limits>
#include <queue>
#include <utility>
#include <vector>

namespace warp::bench::physics {

double miss_ratio(cache_policy& policy, const trace& t) {
  std::size_t misses = 0;
  for (const auto key : t.accesses) misses += !policy.access(key);
  return static_cast<double>(misses) / static_cast<double>(t.accesses.size());
}

double belady_miss_ratio(const trace& t, std::size_t capacity) {
  constexpr auto never = std::numeric_limits<std::uint32_t>::max();
  std::vector<std::uint32_t> next(t.accesses.size()), seen(t.keys, never);
  for (auto i = t.accesses.size(); i-- > 0;) {
    next[i] = seen[t.accesses[i]];
    seen[t.accesses[i]] = static_cast<std::uint32_t>(i);
  }
  // Residents by their next use, the farthest on top. A hit makes its entry stale: it lies in the
  // past, so it sinks, and is dropped when it is met.
  std::priority_queue<std::pair<std::uint32_t, std::uint32_t>> farthest;
  std::vector<std::uint32_t> resident(t.keys, 0); // next use of a resident + 1; 0: not resident
  std::size_t size = 0, misses = 0;
  for (std::size_t i = 0; i < next.size(); ++i) {
    const auto key = t.accesses[i];
    const bool found = resident[key] != 0;
    misses += !found;
    if (!found) {
      if (next[i] == never) continue; // never again: not worth a place
      if (size == capacity) {
        const auto [use, victim] = farthest.top();
        if (use <= next[i]) continue;
        farthest.pop();
        resident[victim] = 0;
      } else {
        ++size;
      }
    } else if (next[i] == never) {
      resident[key] = 0;
      --size;
      continue;
    }
    resident[key] = next[i] + 1;
    farthest.emplace(next[i], key);
    if (farthest.size() > 4 * size + 1'024) { // stale ones only grow: rebuild
      farthest = {};
      for (std::uint32_t k = 0; k < resident.size(); ++k)
        if (resident[k] != 0) farthest.emplace(resident[k] - 1, k);
    }
  }
  return static_cast<double>(misses) / static_cast<double>(t.accesses.size());
}

} // namespace warp::bench::physics
