#pragma once

#include "physics/rebalance.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <unordered_map>

namespace warp::physics {

struct demon_options {
  rebalance_strategy strategy = rebalance_strategy::minimal;
  double act_evenness = 0.97, rest_evenness = 0.99; ///< acts below, rests above; act < rest
  double act_max_over_mean = 1.25, rest_max_over_mean = 1.1; ///< acts above, rests below
  unsigned patience = 3;    ///< observations in a row that call for action before the first plan
  double horizon_s = 3600;  ///< over which a gain is counted, and in which no group moves twice
  double settle_s = 60;     ///< between two plans, so that the loads show the first
  double bytes_max = 256e6; ///< of one plan
  std::size_t moves_max = 1'000; ///< of one plan
  /// What moving a byte costs, as load x seconds: measured by the caller from its last moves (a
  /// move of b bytes that took work off the data path worth w operations: w / b).
  double cost_per_byte = 1e-6;
};

/// Maxwell's demon: the rebalancer. Watches how evenly load lies on the places and, when it is
/// uneven for a while, turns that into a bounded, costed list of moves.
///
///     resting --(evenness < act_evenness or max/mean > act_max_over_mean, `patience` times)-->
///     acting acting  --(evenness >= rest_evenness and max/mean <=
///     rest_max_over_mean)--------------> resting
///
/// While acting it proposes a plan every settle_s, if its gain is larger than its cost:
///     gain = load above the aim that goes away x horizon;  cost = bytes x cost_per_byte
/// 1. No group is moved twice within the horizon: it cannot oscillate faster than that.
/// 2. A plan keeps to bytes_max and moves_max.
/// A value; the caller carries plans out and says nothing about those it drops but forget().
class demon {
public:
  explicit demon(const demon_options& options = {}) : options_(options) {}

  /// What is seen now, seconds since any fixed moment; `groups` in the same order as ever (their
  /// `fixed` is added to). A plan to carry out, or nothing.
  std::optional<rebalance_plan> observe(double now_s, std::span<const double> capacities,
                                        std::span<const weighed_group> groups);

  /// The plan that it would make now, whether it is called for, worth it or not; changes nothing.
  [[nodiscard]] rebalance_plan dry_run(double now_s, std::span<const double> capacities,
                                       std::span<const weighed_group> groups) const;

  /// Is the gain of a plan larger than its cost?
  [[nodiscard]] bool worth(const rebalance_prediction& predicted) const noexcept;

  /// A group's move was not made: it may move again.
  void forget(std::uint32_t group) noexcept { moved_at_.erase(group); }
  [[nodiscard]] bool acting() const noexcept { return acting_; }
  [[nodiscard]] const demon_options& options() const noexcept { return options_; }

private:
  demon_options options_;
  bool acting_ = false;
  unsigned calls_ = 0; ///< observations in a row that called for action
  double planned_at_s_ = 0;
  bool planned_ = false;
  std::unordered_map<std::uint32_t, double> moved_at_; ///< s, within the horizon
};

} // namespace warp::physics
