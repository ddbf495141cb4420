#include "physics/placement_learner.hpp"

#include "physics/mixing.hpp"

#include <algorithm>
#include <bit>
#include <cassert>
#include <cmath>

namespace warp::physics {

namespace {

/// How many outcomes of a finer cell weigh as much as all that the coarser one says.
constexpr float lean = 4;
/// Reads of a value of which nothing is known, not even by its like: enough for no value to begin
/// in the slowest tier.
constexpr double unknown_reads = 1;
constexpr double trial_fades = 0.9;
constexpr double right_within = 1.1; // times the least cost

/// 0, 1, 2-3, 4-7, ... as 0, 1, 2, 3, ...
std::uint32_t step_of(double n) noexcept {
  return static_cast<std::uint32_t>(
      std::bit_width(static_cast<std::uint64_t>(std::min(n + 0.5, 1e15))));
}

bool fits(temporal_tier t, const tiered_value& value, double reads, double left_s,
          const placement_limits& limits) noexcept {
  switch (t) {
  case temporal_tier::memory:
    return value.bytes <= limits.memory_bytes;
  case temporal_tier::packed:
    return value.bytes * value.packed_share <= limits.memory_bytes;
  case temporal_tier::device:
    return value.bytes <= limits.device_bytes;
  case temporal_tier::ssd:
  case temporal_tier::disk:
    return reads <= limits.io_per_s * left_s;
  }
  return false;
}

/// Room that is nearly gone is dearer.
double pressed(temporal_tier t, const placement_limits& limits) noexcept {
  const double p = t == temporal_tier::memory || t == temporal_tier::packed ? limits.memory_pressure
                   : t == temporal_tier::device                             ? limits.device_pressure
                                                                            : 0;
  return 1 / (1 - std::clamp(p, 0.0, 0.999));
}

} // namespace

placement_learner::placement_learner(const tier_costs& costs, const placement_options& options)
    : options_(options), costs_(costs), cells_(cells * levels) {
  assert(options.period_s > 0 && options.memory > 0 && options.memory < 1 && options.trial > 0);
}

placement_learner::contexts placement_learner::contexts_of(const placement_features& f,
                                                           double now_s) noexcept {
  const auto& h = f.history;
  const auto last = std::min(step_of(h.last_reads), 15u);
  const auto before = std::min(step_of(static_cast<double>(h.reads_before) * 2), 15u);
  // How long it has been left alone, in mean intervals, and how regular these were.
  std::uint32_t alone = 7, regular = 3;
  if (h.last_s >= 0) {
    const double since = std::max(now_s - static_cast<double>(h.last_s), 0.0);
    const double interval = std::max(static_cast<double>(h.interval_s), 1e-3);
    alone = std::min(step_of(since / interval), 6u);
    const double varies = static_cast<double>(h.spread_s) / interval;
    regular = varies < 0.25 ? 0 : varies < 0.75 ? 1 : 2;
  }
  const auto partners = std::min(step_of(f.partners), 4u);
  const auto coarse = last << 4 | before; // a cell of its own each
  const auto middle = mix(coarse | std::uint64_t{alone} << 8 | std::uint64_t{1} << 32);
  const auto fine =
      mix(middle ^ (std::uint64_t{regular} | partners << 2 | std::uint64_t{f.type} << 16));
  return {coarse, static_cast<std::uint32_t>(middle % cells),
          static_cast<std::uint32_t>(fine % cells)};
}

double placement_learner::expected_reads(const contexts& at, std::uint32_t seen) const noexcept {
  // Mean of the outcomes that are still possible, cell by cell from coarse to fine.
  const auto from = std::min<std::uint32_t>(step_of(seen), steps - 1);
  double mean = 1.1 * seen + unknown_reads; // what was read often is expected to be read on
  for (std::size_t level = 0; level < levels; ++level) {
    const auto& c = cells_[level * cells + at[level]];
    float outcomes = 0, reads = 0;
    for (std::size_t s = from; s < steps; ++s) {
      outcomes += c.outcomes[s];
      reads += c.reads[s];
    }
    mean = (static_cast<double>(reads) + static_cast<double>(lean) * mean) /
           (static_cast<double>(outcomes) + static_cast<double>(lean));
  }
  // What happens to one value of a kind happens to all of them, in the same period: so many periods
  // without a read, not so many values, are what makes the next one unlikely.
  return std::max(mean, static_cast<double>(seen)) +
         unknown_reads / (1 + static_cast<double>(periods_));
}

placement_learner::outlook placement_learner::outlook_of(const contexts& at,
                                                         std::uint32_t seen) const noexcept {
  outlook out;
  const auto from = std::min<std::uint32_t>(step_of(seen), steps - 1);
  for (std::size_t level = 0; level < levels; ++level) {
    const auto& c = cells_[level * cells + at[level]];
    double all = static_cast<double>(lean); // what the coarser cells say weighs as much
    for (std::size_t s = from; s < steps; ++s) all += static_cast<double>(c.outcomes[s]);
    for (std::size_t s = from; s < steps; ++s) {
      const auto outcomes = static_cast<double>(c.outcomes[s]);
      out.chance[s] = (out.chance[s] * static_cast<double>(lean) + outcomes) / all;
      if (outcomes > 0) out.reads[s] = static_cast<double>(c.reads[s]) / outcomes;
    }
  }
  return out;
}

temporal_tier placement_learner::most_right(const placement_features& f,
                                            const placement_limits& limits, double now_s,
                                            double left_s, temporal_tier otherwise) const noexcept {
  const auto seen = f.history.reads;
  const auto outlook = outlook_of(contexts_of(f, now_s), seen);
  std::array<double, temporal_tiers> right{}; // reads to be expected for which it is
  for (std::size_t s = 0; s < steps; ++s) {
    if (outlook.chance[s] <= 0 || outlook.reads[s] <= 0) continue;
    const double rest = std::max(outlook.reads[s] - seen, 0.0);
    std::array<double, temporal_tiers> cost{};
    double least = -1;
    for (std::size_t t = 0; t < temporal_tiers; ++t) {
      if (!costs_[t].present || !fits(static_cast<temporal_tier>(t), f.value, rest, left_s, limits))
        continue;
      auto its = costs_[t];
      its.price_us_per_byte_s *= pressed(static_cast<temporal_tier>(t), limits);
      cost[t] = cost_of(its, f.value, rest, left_s);
      if (least < 0 || cost[t] < least) least = cost[t];
    }
    for (std::size_t t = 0; t < temporal_tiers; ++t)
      if (cost[t] > 0 && cost[t] <= right_within * least)
        right[t] += outlook.chance[s] * outlook.reads[s];
  }
  auto best = otherwise;
  for (std::size_t t = 0; t < temporal_tiers; ++t)
    if (right[t] > right[index_of(best)]) best = static_cast<temporal_tier>(t);
  return best;
}

temporal_tier placement_learner::learned_tier(const placement_features& f, double now_s,
                                              double left_s) const noexcept {
  const double reads = expected_reads(contexts_of(f, now_s), f.history.reads) - f.history.reads;
  return cheapest_tier(costs_, f.value, reads, left_s);
}

placement_decision placement_learner::decide(const placement_features& features,
                                             const placement_limits& limits, double now_s,
                                             double left_s) {
  placement_decision out;
  double reads = 0;
  if (learned_decides_) {
    reads = expected_reads(contexts_of(features, now_s), features.history.reads) -
            features.history.reads;
  } else if (features.history.last_s >= 0) { // as tier_by_age()
    const double since = now_s - static_cast<double>(features.history.last_s);
    reads =
        left_s / std::max({since, static_cast<double>(features.history.interval_s), left_s * 1e-9});
  } else {
    reads = 0.5;
  }
  auto second = temporal_tier::memory;
  double least = -1, next = -1;
  for (std::size_t t = 0; t < temporal_tiers; ++t) {
    const auto tier = static_cast<temporal_tier>(t);
    auto cost = costs_[t];
    cost.price_us_per_byte_s *= pressed(tier, limits);
    out.score[t] = cost_of(cost, features.value, reads, left_s);
    if (!cost.present || !fits(tier, features.value, reads, left_s, limits)) continue;
    if (least < 0 || out.score[t] < least) {
      second = out.tier;
      next = least;
      out.tier = tier;
      least = out.score[t];
    } else if (next < 0 || out.score[t] < next) {
      second = tier;
      next = out.score[t];
    }
  }
  if (least < 0) { // nothing fits: what takes the least room
    out.tier = temporal_tier::memory;
    for (const auto t : {temporal_tier::ssd, temporal_tier::disk})
      if (costs_[index_of(t)].present) out.tier = t;
    return out;
  }
  if (options_.aim == placement_aim::most_right && learned_decides_)
    out.tier = most_right(features, limits, now_s, left_s, out.tier);
  ++decisions_;
  if (options_.explore_one_in > 0 && next >= 0 &&
      mix(decisions_ ^ options_.seed) % options_.explore_one_in == 0) {
    out.tier = second;
    out.explored = true;
  }
  return out;
}

void placement_learner::learn(const placement_features& features, double now_s,
                              std::uint32_t reads) {
  // The arms first, by what was known before this outcome.
  const auto by_rule = tier_by_age(costs_, features.value, features.history, now_s);
  const auto by_learning = learned_tier(features, now_s, options_.period_s);
  const auto cost = [&](temporal_tier t) {
    return cost_of(costs_[index_of(t)], features.value, reads, options_.period_s);
  };
  const double difference = by_rule == by_learning ? 0 : cost(by_rule) - cost(by_learning);
  difference_ += difference;
  squares_ += difference * difference;
  if (++tried_ >= options_.trial) {
    // The difference of a trial against how far a sum of such differences strays by chance.
    const double strays = options_.sureness * std::sqrt(squares_);
    if (difference_ > strays) learned_decides_ = true;
    if (difference_ < -strays) learned_decides_ = false;
    tried_ = 0;
    difference_ *= trial_fades; // the trials before count less and less
    squares_ *= trial_fades;
  }
  if (const double period = std::floor(now_s / options_.period_s); period != period_) {
    period_ = period;
    ++periods_;
  }

  const auto step = std::min<std::uint32_t>(step_of(reads), steps - 1);
  const auto at = contexts_of(features, now_s);
  const auto fade = static_cast<float>(options_.memory);
  for (std::size_t level = 0; level < levels; ++level) {
    auto& c = cells_[level * cells + at[level]];
    for (std::size_t s = 0; s < steps; ++s) {
      c.outcomes[s] *= fade;
      c.reads[s] *= fade;
    }
    c.outcomes[step] += 1;
    c.reads[step] += static_cast<float>(reads);
  }
}

void placement_learner::measured(temporal_tier tier, double bytes, double took_us) noexcept {
  if (!(took_us >= 0) || !(took_us < 1e12)) return;
  auto& cost = costs_[index_of(tier)];
  const double base = std::max(took_us - bytes / 1024 * cost.read_us_per_kib, 0.0);
  cost.read_us += (base - cost.read_us) / 64;
}

} // namespace warp::physics
