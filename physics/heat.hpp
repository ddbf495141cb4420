#pragma once

#include "physics/coaccess_graph.hpp"

#include <cstddef>
#include <span>
#include <vector>

namespace warp::physics {

/// How heat (decayed use) spreads from a group to those it is used with.
struct heat_settings {
  double conductivity = 0.1; ///< share of a difference that flows in a second per weight, >= 0
  double decay_per_s = 0;    ///< of all heat, >= 0: half-life = ln 2 / decay_per_s
  double dt_s = 1;           ///< time that passes, >= 0
};

/// More steps than this is no batch: conductivity, weights or time are out of all proportion.
inline constexpr std::size_t heat_steps_max = 1 << 20;

/// Steps in which the time passes, so that none moves more than half of what a group has: heat then
/// flows from warm to cold only and no group overshoots. degree_max: largest sum of the weights of
/// a group's links. In [1, heat_steps_max + 1]; above heat_steps_max: not to be computed. O(1).
[[nodiscard]] std::size_t heat_steps(const heat_settings& settings, double degree_max) noexcept;

/// Share of the heat that is left after the decay, in (0, 1]: exp(-decay_per_s x dt_s). O(1).
[[nodiscard]] double heat_left(const heat_settings& settings) noexcept;

/// Heat diffusion on a co-access graph, and decay: what is hot warms what it is used with.
///     dT_a/dt = conductivity x sum over links (weight x (T_b - T_a)) - decay x T_a
/// by heat_steps() explicit steps, then the decay. What flows out of one group flows into another:
/// the sum of all temperatures changes by the decay alone. temperature: one a group, >= 0; at most
/// heat_steps_max steps. O(steps x links).
[[nodiscard]] std::vector<double> diffused(const coaccess_graph& graph,
                                           std::span<const double> temperature,
                                           const heat_settings& settings);

} // namespace warp::physics
