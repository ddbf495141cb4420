#include "physics/temporal_tiers.hpp"

#include <algorithm>
#include <cmath>

namespace warp::physics {

double cost_of(const tier_cost& tier, const tiered_value& value, double reads,
               double seconds) noexcept {
  const double kept = tier.packs ? value.bytes * value.packed_share : value.bytes;
  return reads * (tier.read_us + value.bytes / 1024 * tier.read_us_per_kib) +
         tier.price_us_per_byte_s * kept * seconds;
}

temporal_tier cheapest_tier(const tier_costs& costs, const tiered_value& value, double reads,
                            double seconds) noexcept {
  auto best = temporal_tier::memory;
  double least = -1;
  for (std::size_t t = 0; t < costs.size(); ++t) {
    if (!costs[t].present) continue;
    const double cost = cost_of(costs[t], value, reads, seconds);
    if (least >= 0 && cost >= least) continue;
    least = cost;
    best = static_cast<temporal_tier>(t);
  }
  return best;
}

void tier_history::read(double now_s) noexcept {
  if (last_s >= 0) {
    const float interval = static_cast<float>(now_s) - last_s;
    const bool first = interval_s <= 0 && spread_s <= 0;
    const float off = std::abs(interval - interval_s);
    interval_s = first ? interval : interval_s + (interval - interval_s) / 4;
    spread_s = first ? interval : spread_s + (off - spread_s) / 4;
  }
  last_s = static_cast<float>(now_s);
  ++reads;
}

void tier_history::turn() noexcept {
  reads_before = reads_before / 2 + static_cast<float>(last_reads) / 2;
  last_reads = reads;
  reads = 0;
}

temporal_tier tier_by_age(const tier_costs& costs, const tiered_value& value,
                          const tier_history& history, double now_s) noexcept {
  if (history.last_s < 0) {
    for (std::size_t t = costs.size() - 1; t-- > 0;)
      if (costs[t].present) return static_cast<temporal_tier>(t);
    return temporal_tier::memory;
  }
  const double since = now_s - static_cast<double>(history.last_s);
  const double interval = std::max({since, static_cast<double>(history.interval_s), 1e-6});
  return cheapest_tier(costs, value, 1, interval);
}

} // namespace warp::physics
