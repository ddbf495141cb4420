// Tiers: where values live from hour to hour, by what it costs to read and to keep them. Each
// policy beside the assignment of least cost that knows the future; how much memory it takes to
// keep nearly all reads in memory; and reads from disk that Belady would not have made.

#include "physics/placement_learner.hpp"
#include "physics/temporal_tiers.hpp"
#include "tests/bench/physics/cache_policy.hpp"
#include "tests/bench/physics/id_queue.hpp"
#include "tests/bench/physics/part.hpp"
#include "tests/bench/physics/prefetching_memory.hpp"
#include "tests/bench/physics/tier_costs.hpp"
#include "tests/bench/physics/trace.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace warp::bench::physics {

namespace {

using namespace warp::physics;

constexpr double access_s = tier_window_s / tier_window;

/// Decides where values live; the judge does the accounts.
class tier_policy {
public:
  virtual ~tier_policy() = default;
  /// A window begins with this access of the trace; then, one by one, the values there are, before
  /// it is decided about any of them. For those who know the future.
  virtual void before_window(std::size_t) {}
  virtual void before_decision(std::uint32_t, const tier_history&, double) {}
  /// A value has been read, or written for the first time; where it lives from here on.
  virtual temporal_tier after_access(std::uint32_t key, const tier_history& history, double now_s,
                                     double left_s, temporal_tier here) = 0;
  /// A window begins: where a value lives from here on.
  virtual temporal_tier at_window(std::uint32_t, const tier_history&, double, temporal_tier here) {
    return here;
  }
  /// A window has ended in which a value was read so often; history as at its beginning.
  virtual void learn(std::uint32_t, const tier_history&, double, std::uint32_t) {}
  /// Values that have to leave memory by what was done last.
  std::vector<std::uint32_t> leave;
};

/// Baseline: everything in one tier, the coldest for one.
class always_in : public tier_policy {
public:
  explicit always_in(temporal_tier tier) : tier_(tier) {}
  temporal_tier after_access(std::uint32_t, const tier_history&, double, double,
                             temporal_tier) override {
    return tier_;
  }

private:
  temporal_tier tier_;
};

/// Baseline: a memory of so many bytes with what was used last, the rest on the SSD.
class lru_tiers : public tier_policy {
public:
  lru_tiers(std::size_t keys, double capacity) : links_(keys), in_(keys, 0), capacity_(capacity) {}
  temporal_tier after_access(std::uint32_t key, const tier_history&, double, double,
                             temporal_tier) override {
    if (in_[key]) {
      order_.to_front(links_, key);
    } else {
      used_ += value_of(key).bytes;
      in_[key] = 1;
      order_.push(links_, key);
    }
    while (used_ > capacity_) {
      const auto last = order_.pop(links_);
      used_ -= value_of(last).bytes;
      in_[last] = 0;
      leave.push_back(last);
    }
    return in_[key] ? temporal_tier::memory : temporal_tier::ssd;
  }

private:
  id_links links_;
  id_queue order_;
  std::vector<std::uint8_t> in_;
  double capacity_, used_ = 0;
};

/// Ours by rule: temporal_tiers.hpp.
class tiers_by_age : public tier_policy {
public:
  temporal_tier after_access(std::uint32_t key, const tier_history& h, double now_s, double,
                             temporal_tier) override {
    return tier_by_age(costs_, value_of(key), h, now_s);
  }
  temporal_tier at_window(std::uint32_t key, const tier_history& h, double now_s,
                          temporal_tier) override {
    return tier_by_age(costs_, value_of(key), h, now_s);
  }

private:
  tier_costs costs_ = tier_costs_of_the_bench();
};

/// Ours learned: placement_learner.hpp, asked when a window begins, when a value is written and,
/// where it is for the cost, when a value has been read 1, 2, 4, 8 ... times in it: who moves in
/// the middle of a window has paid for two tiers.
class learned_tiers : public tier_policy {
public:
  explicit learned_tiers(placement_aim aim)
      : aim_(aim), learner_{tier_costs_of_the_bench(), {.aim = aim, .explore_one_in = 0}} {}
  temporal_tier after_access(std::uint32_t key, const tier_history& h, double now_s, double left_s,
                             temporal_tier here) override {
    if (aim_ == placement_aim::most_right && h.reads != 0) return here;
    if ((h.reads & (h.reads - 1)) != 0 || here == temporal_tier::memory) return here;
    return learner_.decide({value_of(key), h}, {}, now_s, left_s).tier;
  }
  temporal_tier at_window(std::uint32_t key, const tier_history& h, double now_s,
                          temporal_tier) override {
    return learner_.decide({value_of(key), h}, {}, now_s, tier_window_s).tier;
  }
  void learn(std::uint32_t key, const tier_history& h, double now_s, std::uint32_t reads) override {
    learner_.learn({value_of(key), h}, now_s, reads);
  }
  [[nodiscard]] bool learned_decides() const { return learner_.learned_decides(); }

private:
  placement_aim aim_;
  placement_learner learner_;
};

/// A limit, not a policy: knows how often each value will be read in the window that begins.
class foreseeing_tiers : public tier_policy {
public:
  explicit foreseeing_tiers(const trace& t) : reads_(t.keys, 0), trace_(t) {}
  void before_window(std::size_t from) override {
    std::fill(reads_.begin(), reads_.end(), 0);
    for (std::size_t i = from; i < from + tier_window; ++i) ++reads_[trace_.accesses[i]];
  }
  temporal_tier after_access(std::uint32_t key, const tier_history& h, double, double left_s,
                             temporal_tier here) override {
    // The first access writes a value, and is no read.
    return h.reads == 0 ? cheapest_tier(costs_, value_of(key), reads_[key] - 1, left_s) : here;
  }
  temporal_tier at_window(std::uint32_t key, const tier_history&, double, temporal_tier) override {
    return cheapest_tier(costs_, value_of(key), reads_[key], tier_window_s);
  }

protected:
  std::vector<std::uint32_t> reads_; ///< in this window

private:
  const trace& trace_;
  tier_costs costs_ = tier_costs_of_the_bench();
};

/// A limit, not a policy: about how right one can be who tells values apart as the learner does and
/// has nothing left to learn. It knows what the window that begins holds for one half of the values
/// when it decides about the other half; who tells values apart in another way may do better.
class told_of_others : public foreseeing_tiers {
public:
  using foreseeing_tiers::foreseeing_tiers;
  void before_decision(std::uint32_t key, const tier_history& h, double now_s) override {
    by_[key % 2].learn(key, h, now_s, reads_[key]);
  }
  temporal_tier after_access(std::uint32_t key, const tier_history& h, double now_s, double left_s,
                             temporal_tier here) override {
    return by_[1 - key % 2].after_access(key, h, now_s, left_s, here);
  }
  temporal_tier at_window(std::uint32_t key, const tier_history& h, double now_s,
                          temporal_tier here) override {
    return by_[1 - key % 2].at_window(key, h, now_s, here);
  }

private:
  learned_tiers by_[2]{learned_tiers{placement_aim::most_right},
                       learned_tiers{placement_aim::most_right}};
};

struct verdict {
  double right = 0;  ///< share of the accesses whose value lived within 10 % of the least cost
  double cost = 0;   ///< of all, over the least
  double memory = 0; ///< bytes in memory, the mean
};

verdict judge(const trace& t, std::size_t length, tier_policy& policy) {
  const auto costs = tier_costs_of_the_bench();
  struct state {
    tiered_value value;
    tier_history history, at_begin;
    double since_s = 0, paid = 0, born_s = 0;
    temporal_tier tier = temporal_tier::disk;
    bool known = false;
  };
  std::vector<state> values(t.keys);
  std::uint32_t known = 0; // keys are numbered as they come
  double right = 0, weighed = 0, paid = 0, least = 0, memory = 0;
  const auto settle = [&](state& v, double now_s) {
    const auto kept = cost_of(costs[index_of(v.tier)], v.value, 0, now_s - v.since_s);
    v.paid += kept;
    if (v.tier == temporal_tier::memory) memory += v.value.bytes * (now_s - v.since_s);
    if (v.tier == temporal_tier::packed)
      memory += v.value.bytes * v.value.packed_share * (now_s - v.since_s);
    v.since_s = now_s;
  };
  for (std::size_t begin = 0; begin + tier_window <= length; begin += tier_window) {
    const double begin_s = static_cast<double>(begin) * access_s;
    const double end_s = begin_s + tier_window_s;
    policy.before_window(begin);
    for (std::uint32_t key = 0; key < known; ++key)
      policy.before_decision(key, values[key].history, begin_s);
    for (std::uint32_t key = 0; key < known; ++key) {
      auto& v = values[key];
      v.at_begin = v.history;
      v.tier = policy.at_window(key, v.history, begin_s, v.tier);
    }
    for (std::size_t i = begin; i < begin + tier_window; ++i) {
      const double now_s = static_cast<double>(i) * access_s;
      const auto key = t.accesses[i];
      auto& v = values[key];
      if (v.known) {
        settle(v, now_s);
        v.paid += cost_of(costs[index_of(v.tier)], v.value, 1, 0);
        v.history.read(now_s);
      } else { // written: no read
        known = std::max(known, key + 1);
        v.known = true;
        v.value = value_of(key);
        v.since_s = v.born_s = now_s;
        v.history.last_s = static_cast<float>(now_s);
        v.at_begin = v.history;
      }
      v.tier = policy.after_access(key, v.history, now_s, end_s - now_s, v.tier);
      for (const auto gone : policy.leave) {
        settle(values[gone], now_s);
        values[gone].tier = temporal_tier::ssd;
      }
      policy.leave.clear();
    }
    for (std::uint32_t key = 0; key < known; ++key) {
      auto& v = values[key];
      settle(v, end_s);
      const auto reads = v.history.reads;
      const double lived_s = end_s - std::max(v.born_s, begin_s);
      double best = -1;
      for (const auto& c : costs)
        if (c.present)
          if (const double cost = cost_of(c, v.value, reads, lived_s); best < 0 || cost < best)
            best = cost;
      if (v.paid <= best * 1.1) right += reads;
      weighed += reads;
      paid += v.paid;
      least += best;
      v.paid = 0;
      // What has been left alone for long is learned from now and then.
      const bool quiet = v.at_begin.last_reads == 0 && v.at_begin.reads_before < 0.1f;
      if (v.born_s < begin_s && (!quiet || (key + begin / tier_window) % 8 == 0))
        policy.learn(key, v.at_begin, begin_s, reads);
      v.history.turn();
    }
  }
  const double all_s = static_cast<double>(length) * access_s;
  return {right / std::max(weighed, 1.0), paid / std::max(least, 1e-9), memory / all_s};
}

void decisions(report& out, const trace& t) {
  out.section(
      fmt::format("tiers, {}: values whose tier costs at most 10 % above the least", t.name));
  if (!out.wanted_section()) return;
  const std::size_t length = out.quick() ? t.accesses.size() / 10 : t.accesses.size();
  double all_bytes = 0;
  for (std::uint32_t key = 0; key < t.keys; ++key) all_bytes += value_of(key).bytes;
  const auto always = [&](temporal_tier tier) {
    always_in policy{tier};
    return judge(t, length, policy);
  };
  verdict lru;
  double lru_share = 0;
  for (const double share : {0.02, 0.05, 0.1, 0.2, 0.5}) {
    lru_tiers policy{t.keys, all_bytes * share};
    const auto its = judge(t, length, policy);
    if (lru_share > 0 && its.right <= lru.right) continue;
    lru = its;
    lru_share = share;
  }
  tiers_by_age rule;
  const auto by_age = judge(t, length, rule);
  learned_tiers learning{placement_aim::least_cost}, aiming{placement_aim::most_right};
  const auto learned = judge(t, length, learning);
  const auto aimed = judge(t, length, aiming);
  told_of_others knowing_others{t};
  const auto knowing = judge(t, length, knowing_others);
  foreseeing_tiers told{t};
  const auto foreseen = judge(t, length, told);
  const auto line = [&](const char* name, const verdict& v) {
    out.note(
        fmt::format("{:<35} {:5.1f} % right, {:8.2f} times the least cost, {:6.1f} MB in memory",
                    name, 100 * v.right, v.cost, v.memory / 1e6));
  };
  line("always the coldest", always(temporal_tier::disk));
  line("always on the SSD", always(temporal_tier::ssd));
  line("always packed in memory", always(temporal_tier::packed));
  line("always in memory", always(temporal_tier::memory));
  line(fmt::format("LRU, {:.0f} % of the bytes (its best)", 100 * lru_share).c_str(), lru);
  line("by age (temporal_tiers)", by_age);
  const auto by = [](const learned_tiers& l) {
    return l.learned_decides() ? "" : " (the rule decides)";
  };
  line(fmt::format("learned, for the cost{}", by(learning)).c_str(), learned);
  line(fmt::format("learned, for being right{}", by(aiming)).c_str(), aimed);
  line("limit: told of other values to come", knowing);
  line("limit: told of each value to come", foreseen);
  out.add({.name = "decisions weighed by accesses, for being right",
           .unit = "%",
           .runs = {100 * aimed.right},
           .bar = 90,
           .peer_runs = {100 * lru.right},
           .peer = "LRU"});
  out.add({.name = "cost over the least possible, for the cost",
           .unit = "",
           .runs = {learned.cost},
           .at_most = true,
           .peer_runs = {lru.cost},
           .peer = "LRU"});
}

/// Share of the accesses that go beyond an LRU memory of so many bytes, first reads aside.
double beyond_lru(const trace& t, std::size_t length, double capacity) {
  lru_tiers lru{t.keys, capacity};
  std::vector<temporal_tier> at(t.keys, temporal_tier::disk);
  std::size_t beyond = 0;
  for (std::size_t i = 0; i < length; ++i) {
    const auto key = t.accesses[i];
    beyond += at[key] == temporal_tier::ssd;
    at[key] = lru.after_access(key, {}, 0, 0, at[key]);
    for (const auto gone : lru.leave) at[gone] = temporal_tier::ssd;
    lru.leave.clear();
  }
  return static_cast<double>(beyond) / static_cast<double>(length);
}

double beyond_packed(const trace& t, std::size_t length, double share) {
  prefetching_memory memory{t.keys, {.share = share, .packs = true}};
  for (std::size_t i = 0; i < length; ++i) memory.access(t.accesses[i]);
  const auto& c = memory.counts();
  return static_cast<double>(c.reads - c.first_reads) / static_cast<double>(length);
}

/// Memory in which at most one read in a hundred goes beyond it, first reads aside, as a share of
/// all bytes: halving the range of its logarithm until it is half a percent wide. Ours keeps values
/// compressed.
double memory_for_p99(const trace& t, std::size_t length, bool ours) {
  double all = 0;
  for (std::uint32_t key = 0; key < t.keys; ++key) all += value_of(key).bytes;
  double low = 0.01, high = 1;
  while (high > 1.005 * low) {
    const double middle = std::sqrt(low * high);
    const double beyond =
        ours ? beyond_packed(t, length, middle) : beyond_lru(t, length, middle * all);
    (beyond > 0.01 ? low : high) = middle;
  }
  return high;
}

void memory_needed(report& out, const trace& t) {
  out.section(fmt::format("tiers, {}: memory in which 99 % of the reads stay", t.name));
  if (!out.wanted_section()) return;
  const std::size_t length = out.quick() ? t.accesses.size() / 10 : t.accesses.size();
  out.add({.name = "packed, beside LRU",
           .unit = "% of all bytes",
           .runs = {100 * memory_for_p99(t, length, true)},
           .at_most = true,
           .peer_runs = {100 * memory_for_p99(t, length, false)},
           .peer = "LRU",
           .ratio_bar = 0.6});
}

void unnecessary(report& out, const trace& t) {
  out.section(fmt::format("tiers, {}: disk reads that Belady would not make", t.name));
  if (!out.wanted_section()) return;
  trace part{t.name, t.accesses, t.keys};
  if (out.quick()) part.accesses.resize(t.accesses.size() / 10);
  const auto accesses = static_cast<double>(part.accesses.size());
  for (const double share : {0.01, 0.1}) {
    const auto capacity =
        std::max<std::size_t>(1, static_cast<std::size_t>(static_cast<double>(t.keys) * share));
    const double least = belady_miss_ratio(part, capacity) * accesses;
    const auto lru = make_lru(t.keys, capacity);
    const double lru_reads = miss_ratio(*lru, part) * accesses;
    prefetching_memory memory{
        t.keys, {.share = share, .unit_sizes = true, .packs = true, .prefetch = true}};
    for (const auto key : part.accesses) memory.access(key);
    const auto& c = memory.counts();
    out.note(
        fmt::format("memory of {:.0f} % of the values: reads of Belady {:.0f} k, LRU {:.0f} k, "
                    "ours {:.0f} k; {:.1f} % of {:.0f} k prefetches wasted",
                    100 * share, least / 1e3, lru_reads / 1e3, static_cast<double>(c.reads) / 1e3,
                    100.0 * static_cast<double>(c.wasted) /
                        static_cast<double>(std::max<std::size_t>(c.prefetched, 1)),
                    static_cast<double>(c.prefetched) / 1e3));
    out.add({.name = fmt::format("unnecessary reads at {:.0f} %, beside LRU", 100 * share),
             .unit = "k",
             .runs = {std::max(static_cast<double>(c.reads) - least, 0.0) / 1e3},
             .at_most = true,
             .peer_runs = {(lru_reads - least) / 1e3},
             .peer = "LRU",
             .ratio_bar = 0.4});
  }
}

void run(report& out, const part_options& options) {
  out.begin("tiers: where values live from hour to hour", 600);
  auto files = options.traces;
  if (files.empty()) files = shared_traces();
  if (files.empty()) out.note("no traces: name them with --trace FILE");
  for (const auto& file : files) {
    std::string error;
    const auto t = read_trace(file, error);
    if (!t) {
      out.note(error);
      continue;
    }
    decisions(out, *t);
    memory_needed(out, *t);
    unnecessary(out, *t);
  }
}

} // namespace

const part tiers_part{"tiers", "where values live: cost, memory and disk reads beside LRU", run};

} // namespace warp::bench::physics
