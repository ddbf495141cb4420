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

/// A value may change its tier with its first, second, ... read of a window, and where to depends
/// on the part of the window in which that read came.
constexpr std::array<std::uint32_t, 5> changes{1, 2, 3, 4, 8};
constexpr std::size_t parts = 4;

const auto costs = tier_costs_of_the_bench();

/// Reads for which a tier was right, tier by tier.
using right_reads = std::array<float, temporal_tiers>;

/// What was right for the values of one kind.
struct kind {
  struct half {
    right_reads stays{};                 ///< by the tier of the whole window
    right_reads fewer[changes.size()]{}; ///< the same, where the change's read did not come
    right_reads after[temporal_tiers][changes.size()][parts]{}; ///< by the tier before; after
  } of_half[2];
};

struct value_state {
  tiered_value value;
  tier_history history, at_begin;
  double born_s = 0;
  bool known = false;
  std::vector<float> read_s; ///< in this window
};

std::uint64_t step_of(double n) {
  return static_cast<std::uint64_t>(std::bit_width(static_cast<std::uint64_t>(n + 0.5)));
}

/// Its size, and what its history was when the window began; or for how much of the window it
/// lived, where it was born in it.
std::uint64_t kind_of(const value_state& v, double begin_s, double end_s) {
  const auto size = static_cast<std::uint64_t>(std::log2(v.value.bytes));
  const auto packs = static_cast<std::uint64_t>(2 * v.value.packed_share);
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

/// A value in a window, with the future known.
struct judged_window {
  double from_s, begin_s, end_s; ///< it lived from `from_s` on
  std::array<double, temporal_tiers> cost{};
  double least = -1;

  judged_window(const value_state& v, double window_begin_s)
      : from_s(std::max(v.born_s, window_begin_s)), begin_s(window_begin_s),
        end_s(window_begin_s + tier_window_s) {
    for (std::size_t t = 0; t < temporal_tiers; ++t) {
      if (!costs[t].present) continue;
      cost[t] = cost_of(costs[t], v.value, v.history.reads, end_s - from_s);
      if (least < 0 || cost[t] < least) least = cost[t];
    }
  }
  [[nodiscard]] bool right(std::size_t t) const {
    return costs[t].present && cost[t] <= 1.1 * least;
  }
};

/// Adds what would have been right for the value.
void add(const value_state& v, const judged_window& w, kind::half& out) {
  const double reads = v.history.reads;
  const auto counted = static_cast<float>(reads);
  for (std::size_t t = 0; t < temporal_tiers; ++t) {
    if (!costs[t].present) continue;
    const bool right = w.right(t);
    if (right) out.stays[t] += counted;
    for (std::size_t c = 0; c < changes.size(); ++c) {
      if (v.read_s.size() < changes[c]) {
        if (right) out.fewer[c][t] += counted;
        continue;
      }
      const double at_s = v.read_s[changes[c] - 1];
      const auto part =
          std::min(parts - 1, static_cast<std::size_t>(parts * (at_s - w.begin_s) / tier_window_s));
      const double before = cost_of(costs[t], v.value, changes[c], at_s - w.from_s);
      for (std::size_t to = 0; to < temporal_tiers; ++to)
        if (costs[to].present &&
            before + cost_of(costs[to], v.value, reads - changes[c], w.end_s - at_s) <=
                1.1 * w.least)
          out.after[t][c][part][to] += counted;
    }
  }
}

std::size_t best_of(const right_reads& r) {
  return static_cast<std::size_t>(std::ranges::max_element(r) - r.begin());
}

/// Reads for which one half's best plan is right in the other half.
double right_by(const kind::half& learned, const kind::half& judged) {
  auto tier = best_of(learned.stays);
  if (learned.stays[tier] == 0) tier = index_of(temporal_tier::ssd);
  double most = learned.stays[tier], right = judged.stays[tier];
  for (std::size_t t = 0; t < temporal_tiers; ++t)
    for (std::size_t c = 0; c < changes.size(); ++c) {
      double those = learned.fewer[c][t], these = judged.fewer[c][t];
      for (std::size_t p = 0; p < parts; ++p) {
        const auto to = best_of(learned.after[t][c][p]);
        those += learned.after[t][c][p][to];
        these += judged.after[t][c][p][to];
      }
      if (those <= most) continue;
      most = those;
      right = these;
    }
  return right;
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
        v.read_s.push_back(static_cast<float>(now_s));
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
      if (!v.read_s.empty()) {
        const judged_window w{v, begin_s};
        for (std::size_t tier = 0; tier < temporal_tiers; ++tier)
          if (w.right(tier)) of_value[key][tier] += static_cast<float>(v.history.reads);
        add(v, w, kinds[kind_of(v, begin_s, end_s)].of_half[key % 2]);
        all += v.history.reads;
        v.read_s.clear();
      }
      v.history.turn();
    }
  }
  tier_bounds out;
  for (const auto& right : of_value) out.per_value += right[best_of(right)];
  for (const auto& [name, k] : kinds)
    for (int half = 0; half < 2; ++half)
      out.by_history += right_by(k.of_half[1 - half], k.of_half[half]);
  out.per_value /= std::max(all, 1.0);
  out.by_history /= std::max(all, 1.0);
  return out;
}

} // namespace warp::bench::physics
