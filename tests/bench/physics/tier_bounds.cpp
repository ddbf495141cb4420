#include "tests/bench/physics/tier_bounds.hpp"

#include "physics/temporal_tiers.hpp"
#include "tests/bench/physics/tier_costs.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace warp::bench::physics {

namespace {

using namespace warp::physics;

constexpr double access_s = tier_window_s / tier_window;

/// Reads for which a tier was right, tier by tier.
using right_reads = std::array<double, temporal_tiers>;

struct kind {
  right_reads of_half[2]{};
};

struct value_state {
  tiered_value value;
  tier_history history, at_begin;
  double born_s = 0;
  bool known = false;
};

std::uint64_t step_of(double n) {
  return static_cast<std::uint64_t>(std::bit_width(static_cast<std::uint64_t>(n + 0.5)));
}

/// Its size, and what its history was when the window began; or for how much of the window it
/// lived, where it was born in it.
std::uint64_t kind_of(const value_state& v, double begin_s, double end_s) {
  const auto size = static_cast<std::uint64_t>(4 * std::log2(v.value.bytes));
  const auto packs = static_cast<std::uint64_t>(4 * v.value.packed_share);
  const auto shape = size << 8 | packs;
  if (v.born_s >= begin_s)
    return std::uint64_t{1} << 60 | shape << 8 |
           static_cast<std::uint64_t>(16 * (end_s - v.born_s) / tier_window_s);
  const auto& h = v.at_begin;
  const double since = begin_s - static_cast<double>(h.last_s);
  const double interval = std::max(static_cast<double>(h.interval_s), 1e-3);
  const auto alone = std::min<std::uint64_t>(step_of(since / interval), 6);
  return step_of(h.last_reads) << 48 | step_of(2 * static_cast<double>(h.reads_before)) << 40 |
         alone << 32 | shape;
}

right_reads right_for(const value_state& v, double reads, double lived_s) {
  const auto costs = tier_costs_of_the_bench();
  right_reads cost{}, out{};
  double least = -1;
  for (std::size_t t = 0; t < temporal_tiers; ++t) {
    if (!costs[t].present) continue;
    cost[t] = cost_of(costs[t], v.value, reads, lived_s);
    if (least < 0 || cost[t] < least) least = cost[t];
  }
  for (std::size_t t = 0; t < temporal_tiers; ++t)
    if (costs[t].present && cost[t] <= 1.1 * least) out[t] = reads;
  return out;
}

void add(right_reads& to, const right_reads& what) {
  for (std::size_t t = 0; t < temporal_tiers; ++t) to[t] += what[t];
}

} // namespace

tier_bounds bounds_of_tiers(const trace& t, std::size_t length) {
  std::vector<value_state> values(t.keys);
  std::vector<right_reads> of_value(t.keys);
  std::unordered_map<std::uint64_t, kind> kinds;
  std::uint32_t known = 0;
  double all = 0;
  for (std::size_t begin = 0; begin + tier_window <= length; begin += tier_window) {
    const double begin_s = static_cast<double>(begin) * access_s;
    const double end_s = begin_s + tier_window_s;
    for (std::uint32_t key = 0; key < known; ++key) values[key].at_begin = values[key].history;
    for (std::size_t i = begin; i < begin + tier_window; ++i) {
      const double now_s = static_cast<double>(i) * access_s;
      auto& v = values[t.accesses[i]];
      if (v.known) {
        v.history.read(now_s);
        continue;
      }
      known = std::max(known, t.accesses[i] + 1);
      v.known = true;
      v.value = value_of(t.accesses[i]);
      v.born_s = now_s;
      v.history.last_s = static_cast<float>(now_s);
    }
    for (std::uint32_t key = 0; key < known; ++key) {
      auto& v = values[key];
      if (v.history.reads != 0) {
        const auto right = right_for(v, v.history.reads, end_s - std::max(v.born_s, begin_s));
        add(of_value[key], right);
        add(kinds[kind_of(v, begin_s, end_s)].of_half[key % 2], right);
        all += v.history.reads;
      }
      v.history.turn();
    }
  }
  tier_bounds out;
  for (const auto& right : of_value) out.per_value += *std::ranges::max_element(right);
  for (const auto& [name, k] : kinds)
    for (int half = 0; half < 2; ++half) {
      const auto& learned = k.of_half[1 - half];
      const auto best = std::ranges::max_element(learned);
      const auto tier = *best > 0 ? static_cast<std::size_t>(best - learned.begin())
                                  : index_of(temporal_tier::ssd);
      out.by_history += k.of_half[half][tier];
    }
  out.per_value /= std::max(all, 1.0);
  out.by_history /= std::max(all, 1.0);
  return out;
}

} // namespace warp::bench::physics
