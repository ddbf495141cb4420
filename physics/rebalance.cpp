#include "physics/rebalance.hpp"

#include <algorithm>
#include <array>
#include <cassert>
#include <limits>

namespace warp::physics {

namespace {

class rebalancer {
public:
  rebalancer(std::span<const double> capacities, std::span<const weighed_group> groups,
             const rebalance_limits& limits)
      : groups_(groups), limits_(limits), load_(capacities.size(), 0), of_(capacities.size()),
        capacities_(capacities.begin(), capacities.end()) {
    double load = 0, capacity = 0;
    for (const double c : capacities) capacity += c;
    for (std::uint32_t g = 0; g < groups.size(); ++g) {
      load += groups[g].load;
      load_[groups[g].place] += groups[g].load;
      if (!groups[g].fixed && groups[g].load > 0) of_[groups[g].place].push_back(g);
    }
    for (const double c : capacities) {
      mean_.push_back(load * c / capacity);
      limit_.push_back(mean_.back() * limits.aim);
    }
    // The least bytes for the load first.
    for (auto& list : of_)
      std::ranges::sort(list, [&](std::uint32_t a, std::uint32_t b) {
        const double left = cost(a) * groups_[b].load, right = cost(b) * groups_[a].load;
        return left != right ? left < right : a < b;
      });
    start_ = load_;
  }

  rebalance_plan plan() {
    rebalance_plan out;
    out.predicted.evenness_before = even(start_);
    out.predicted.max_over_mean_before = fullest(start_);
    if (excess(start_) > 0) {
      descend();
      best_ = moves_;
      best_cost_ = reached() ? cost_of(moves_) : std::numeric_limits<double>::infinity();
      load_ = start_;
      moves_.clear();
      nodes_left_ = limits_.search_nodes;
      next_.assign(of_.size(), 0);
      search(0, 0);
    }
    out.moves = best_;
    load_ = start_;
    for (const auto& m : best_) {
      shift(m.group, m.from, m.to);
      out.predicted.bytes += groups_[m.group].bytes;
    }
    out.predicted.evenness_after = even(load_);
    out.predicted.max_over_mean_after = fullest(load_);
    out.predicted.relief = excess(start_) - excess(load_);
    return out;
  }

private:
  [[nodiscard]] double cost(std::uint32_t g) const noexcept {
    return groups_[g].bytes + limits_.move_overhead_bytes;
  }
  [[nodiscard]] double cost_of(const std::vector<group_move>& moves) const noexcept {
    double sum = 0;
    for (const auto& m : moves) sum += cost(m.group);
    return sum;
  }
  /// Relative to the mean: 1 is the place's share.
  [[nodiscard]] double use(place_index p) const noexcept {
    return mean_[p] > 0 ? load_[p] / mean_[p] : 1;
  }
  void shift(std::uint32_t g, place_index from, place_index to) noexcept {
    load_[from] -= groups_[g].load;
    load_[to] += groups_[g].load;
  }
  [[nodiscard]] double over(place_index p) const noexcept {
    // A last digit above the limit is no reason to move anything.
    const double by = load_[p] - limit_[p];
    return by > 1e-9 * limit_[p] ? by : 0;
  }
  [[nodiscard]] bool reached() const noexcept {
    for (place_index p = 0; p < load_.size(); ++p)
      if (over(p) > 0) return false;
    return true;
  }
  [[nodiscard]] double excess(const std::vector<double>& load) const noexcept {
    double sum = 0;
    for (std::size_t p = 0; p < load.size(); ++p) sum += std::max(load[p] - limit_[p], 0.0);
    return sum;
  }
  [[nodiscard]] std::vector<place_load> places(const std::vector<double>& load) const {
    std::vector<place_load> out;
    for (std::size_t p = 0; p < load.size(); ++p)
      out.push_back({std::max(load[p], 0.0), capacities_[p]}); // rounding may leave less than none
    return out;
  }
  [[nodiscard]] double even(const std::vector<double>& load) const {
    return evenness(places(load));
  }
  [[nodiscard]] double fullest(const std::vector<double>& load) const {
    return max_over_mean(places(load));
  }
  [[nodiscard]] bool affordable(double bytes, std::uint32_t g) const noexcept {
    return bytes + groups_[g].bytes <= limits_.bytes_max && moves_.size() < limits_.moves_max;
  }

  /// Is a move to a place without room good for both of them together, and neither as full after
  /// it as the giver is now?
  [[nodiscard]] bool relieves(std::uint32_t g, place_index from, place_index to) const noexcept {
    const double load = groups_[g].load;
    const double excess_after = std::max(load_[from] - load - limit_[from], 0.0) +
                                std::max(load_[to] + load - limit_[to], 0.0);
    return (load_[to] + load) / mean_[to] < use(from) * (1 - 1e-9) && excess_after <= over(from);
  }

  /// The fullest place gives, move by move, until the aim is reached or nothing helps.
  void descend() {
    std::vector<std::uint8_t> moved(groups_.size(), 0), stuck(load_.size(), 0);
    double bytes = 0;
    for (;;) {
      auto from = no_place, to = no_place;
      for (place_index p = 0; p < load_.size(); ++p) {
        if (over(p) > 0 && !stuck[p] && (from == no_place || use(p) > use(from))) from = p;
        if (to == no_place || limit_[p] - load_[p] > limit_[to] - load_[to]) to = p;
      }
      if (from == no_place || to == from) return;
      std::uint32_t best = UINT32_MAX;
      double best_price = 0;
      bool best_fits = false;
      for (const auto g : of_[from]) {
        if (moved[g] || !affordable(bytes, g)) continue;
        const bool fits = load_[to] + groups_[g].load <= limit_[to];
        if (!fits && !relieves(g, from, to)) continue;
        const double price = cost(g) / std::min(groups_[g].load, over(from));
        if (best == UINT32_MAX || fits > best_fits || (fits == best_fits && price < best_price)) {
          best = g;
          best_price = price;
          best_fits = fits;
        }
      }
      if (best == UINT32_MAX) {
        stuck[from] = 1;
        continue;
      }
      moved[best] = 1;
      bytes += groups_[best].bytes;
      shift(best, from, to);
      moves_.push_back({best, from, to});
    }
  }

  /// Extends moves_ in every way that may still be cheaper than the best plan. next_: from where in
  /// its list each place may still give, so that no set of moves is looked at twice.
  void search(double cost_so_far, double bytes) {
    if (nodes_left_ == 0) return;
    --nodes_left_;
    auto from = no_place;
    double bound = cost_so_far;
    for (place_index p = 0; p < load_.size(); ++p) {
      const double by = over(p);
      if (by <= 0) continue;
      if (next_[p] == of_[p].size()) return; // has nothing left to give
      // At the least, each place sheds its excess at the best price that it still has.
      const auto g = of_[p][next_[p]];
      bound += by * cost(g) / groups_[g].load;
      if (from == no_place || use(p) > use(from)) from = p;
    }
    if (bound >= best_cost_) return;
    if (from == no_place) {
      best_cost_ = cost_so_far;
      best_ = moves_;
      return;
    }
    const auto at = next_[from];
    for (auto i = at; i < of_[from].size() && nodes_left_ > 0; ++i) {
      const auto g = of_[from][i];
      if (cost_so_far + cost(g) >= best_cost_ || !affordable(bytes, g)) continue;
      next_[from] = i + 1;
      // Where to: with room the tightest and the roomiest fit; without, the place that would be
      // least above its limit, which then has to give something itself.
      const auto kinds = destinations(g, from);
      for (std::size_t k = 0; k < kinds.size(); ++k) {
        const auto to = kinds[k];
        if (to == no_place || std::find(kinds.begin(), kinds.begin() + k, to) != kinds.begin() + k)
          continue;
        const double load_from = load_[from], load_to = load_[to];
        shift(g, from, to);
        moves_.push_back({g, from, to});
        search(cost_so_far + cost(g), bytes + groups_[g].bytes);
        moves_.pop_back();
        load_[from] = load_from; // not by adding back: rounding would add up
        load_[to] = load_to;
      }
    }
    next_[from] = at;
  }

  /// Few places: all of them, those with the most room first. Many: three that differ.
  static constexpr std::size_t destinations_max = 4;
  [[nodiscard]] std::array<place_index, destinations_max> destinations(std::uint32_t g,
                                                                       place_index from) const {
    std::array<place_index, destinations_max> out;
    out.fill(no_place);
    const auto room = [&](place_index p) { return limit_[p] - load_[p] - groups_[g].load; };
    if (load_.size() <= destinations_max + 1) {
      std::size_t count = 0;
      for (place_index p = 0; p < load_.size(); ++p) {
        if (p == from) continue;
        auto at = count++;
        for (; at > 0 && room(p) > room(out[at - 1]); --at) out[at] = out[at - 1];
        out[at] = p;
      }
      return out;
    }
    for (place_index p = 0; p < load_.size(); ++p) {
      if (p == from) continue;
      auto& [roomy, tight, least_over, unused] = out;
      static_cast<void>(unused);
      if (room(p) >= 0) {
        if (roomy == no_place || room(p) > room(roomy)) roomy = p;
        if (tight == no_place || room(p) < room(tight)) tight = p;
      } else if (least_over == no_place || room(p) > room(least_over)) {
        least_over = p;
      }
    }
    return out;
  }

  std::span<const weighed_group> groups_;
  const rebalance_limits& limits_;
  std::vector<double> load_, start_;
  std::vector<std::vector<std::uint32_t>> of_; ///< the groups that each place may give
  std::vector<double> capacities_;
  std::vector<double> mean_, limit_; ///< load by share of the capacity, and what the aim allows
  std::vector<group_move> moves_, best_;
  double best_cost_ = 0;
  std::vector<std::size_t> next_;
  std::size_t nodes_left_ = 0;
};

} // namespace

double rebalance_aim(rebalance_strategy strategy, double minimal_aim) noexcept {
  assert(minimal_aim > 1);
  const double part = strategy == rebalance_strategy::minimal    ? 1.0
                      : strategy == rebalance_strategy::moderate ? 0.5
                                                                 : 0.2;
  return 1 + (minimal_aim - 1) * part;
}

rebalance_plan plan_rebalance(std::span<const double> capacities,
                              std::span<const weighed_group> groups,
                              const rebalance_limits& limits) {
  assert(!capacities.empty() && limits.aim > 1);
  return rebalancer{capacities, groups, limits}.plan();
}

} // namespace warp::physics
