#include "physics/demon.hpp"

#include <algorithm>
#include <vector>

namespace warp::physics {

rebalance_plan demon::dry_run(double now_s, std::span<const double> capacities,
                              std::span<const weighed_group> groups) const {
  std::vector<weighed_group> seen(groups.begin(), groups.end());
  for (const auto& [group, at_s] : moved_at_)
    if (group < seen.size() && now_s - at_s < options_.horizon_s) seen[group].fixed = true;
  return plan_rebalance(capacities, seen,
                        {.aim = rebalance_aim(options_.strategy, options_.rest_max_over_mean),
                         .bytes_max = options_.bytes_max,
                         .moves_max = options_.moves_max});
}

bool demon::worth(const rebalance_prediction& predicted) const noexcept {
  return predicted.relief * options_.horizon_s > predicted.bytes * options_.cost_per_byte;
}

std::optional<rebalance_plan> demon::observe(double now_s, std::span<const double> capacities,
                                             std::span<const weighed_group> groups) {
  std::vector<place_load> places;
  for (const double c : capacities) places.push_back({0, c});
  for (const auto& g : groups) places[g.place].load += g.load;
  const double even = evenness(places), fullest = max_over_mean(places);
  if (acting_) {
    if (even >= options_.rest_evenness && fullest <= options_.rest_max_over_mean) acting_ = false;
  } else {
    const bool called = even < options_.act_evenness || fullest > options_.act_max_over_mean;
    calls_ = called ? calls_ + 1 : 0;
    acting_ = calls_ >= options_.patience;
  }
  if (!acting_) return std::nullopt;
  calls_ = 0;
  if (planned_ && now_s - planned_at_s_ < options_.settle_s) return std::nullopt;
  auto plan = dry_run(now_s, capacities, groups);
  planned_ = true;
  planned_at_s_ = now_s;
  if (plan.moves.empty() || !worth(plan.predicted)) return std::nullopt;
  std::erase_if(moved_at_,
                [&](const auto& entry) { return now_s - entry.second >= options_.horizon_s; });
  for (const auto& m : plan.moves) moved_at_[m.group] = now_s;
  return plan;
}

} // namespace warp::physics
