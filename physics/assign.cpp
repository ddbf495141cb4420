#include "physics/assign.hpp"

#include "physics/bisection.hpp"
#include "physics/gravity_wells.hpp"
#include "physics/placement_refinement.hpp"

#include <algorithm>
#include <cassert>
#include <numeric>
#include <queue>
#include <utility>

namespace warp::physics {

namespace {

constexpr int refinement_passes = 6;
/// Exchanges between pairs of places are worth their time while the graph is small.
constexpr std::size_t pairs_groups_max = 200'000, pair_partners = 6;

class planner {
public:
  planner(const coaccess_graph& graph, std::span<const placed_group> groups,
          std::span<const placement_site> sites, const assign_options& options)
      : graph_(graph), groups_(groups), options_(options), load_(sites.size(), 0) {
    double capacity = 0;
    for (const auto& s : sites) {
      assert(s.capacity > 0);
      capacity += s.capacity;
      site_ids_.push_back(s.id);
      capacities_.push_back(s.capacity);
    }
    for (const auto& g : groups) {
      loads_.push_back(g.load);
      total_load_ += g.load;
      total_mass_ += g.mass;
    }
    for (const double c : capacities_) {
      // Without any load every place has room.
      const double share = total_load_ > 0 ? total_load_ * c / capacity : 1;
      limits_.push_back(share * options.max_over_mean);
    }
  }

  assignment plan(std::span<const place_index> earlier_goal) {
    assignment out;
    settle(out);
    out.cut_now = graph_.cut(placement_);

    std::vector<place_index> start = placement_;
    for (std::size_t g = 0; g < std::min(earlier_goal.size(), start.size()); ++g)
      if (earlier_goal[g] < capacities_.size()) start[g] = earlier_goal[g];
    out.goal = start;
    descend(graph_, loads_, &out.goal, 0);
    keep_ties(out.goal);
    out.cut_at_goal = graph_.cut(out.goal);
    // A goal that is as good as another one but elsewhere would only keep groups on the road.
    if (const double cut = graph_.cut(start);
        out.cut_at_goal > cut * (1 - options_.worth_change) && !overfull(start, out.goal)) {
      out.goal = std::move(start);
      out.cut_at_goal = cut;
    }

    if (graph_.links() > 0 && capacities_.size() > 1) {
      auto fresh = descend(graph_, loads_, nullptr, 0);
      const double cut = graph_.cut(fresh);
      if (cut < out.cut_at_goal * (1 - options_.worth_restart) && !overfull(fresh, out.goal)) {
        rename_places(fresh);
        keep_ties(fresh);
        out.goal = std::move(fresh);
        out.cut_at_goal = graph_.cut(out.goal);
      }
    }
    take_steps(out);
    return out;
  }

private:
  [[nodiscard]] bool fits(std::size_t group, place_index p) const noexcept {
    return load_[p] + loads_[group] <= limits_[p];
  }

  /// Finds a first home for groups that have none, the heaviest first.
  void settle(assignment& out) {
    placement_.resize(groups_.size());
    std::vector<std::uint32_t> homeless;
    for (std::uint32_t g = 0; g < groups_.size(); ++g) {
      placement_[g] = groups_[g].place;
      if (placement_[g] < capacities_.size())
        load_[placement_[g]] += loads_[g];
      else
        homeless.push_back(g);
    }
    std::ranges::sort(homeless, [&](std::uint32_t a, std::uint32_t b) {
      return groups_[a].mass != groups_[b].mass ? groups_[a].mass > groups_[b].mass : a < b;
    });
    std::vector<double> pull(capacities_.size(), 0);
    for (const auto g : homeless) {
      placement_[g] = no_place;
      double all = 0;
      for (const auto& l : graph_.of(g))
        if (placement_[l.to] < capacities_.size()) {
          pull[placement_[l.to]] += l.weight;
          all += l.weight;
        }
      auto best = no_place;
      double most = 0;
      for (const auto& l : graph_.of(g)) {
        const auto p = placement_[l.to];
        if (p >= capacities_.size() || !fits(g, p)) continue;
        const double a = attraction(groups_[g].mass + 1, capacities_[p], load_[p] / limits_[p],
                                    coaccess_distance(pull[p], all), options_.softening);
        if (a > most || (a == most && p < best)) {
          most = a;
          best = p;
        }
      }
      for (const auto& l : graph_.of(g))
        if (placement_[l.to] < capacities_.size()) pull[placement_[l.to]] = 0;
      if (best == no_place) best = rendezvous_place(groups_[g].id, site_ids_, capacities_);
      if (!fits(g, best)) best = emptiest();
      placement_[g] = best;
      load_[best] += loads_[g];
      out.arrivals.push_back({g, no_place, best});
    }
  }

  [[nodiscard]] place_index emptiest() const noexcept {
    place_index best = 0;
    for (place_index p = 1; p < capacities_.size(); ++p)
      if (limits_[p] - load_[p] > limits_[best] - load_[best]) best = p;
    return best;
  }

  /// Improves `start`, or places the groups from nothing when it is null; level by level.
  std::vector<place_index> descend(const coaccess_graph& graph, std::span<const double> loads,
                                   std::vector<place_index>* start, std::uint64_t level) {
    const refinement_input here{graph, loads, capacities_, limits_, options_.softening};
    const std::size_t small = std::max<std::size_t>(capacities_.size() * 24, 400);
    std::vector<place_index> placement;
    bool placed = false;
    if (graph.groups() > small && level < 24) {
      // A well is a small part of a place, so that wells can be dealt out evenly.
      const double well_load = total_load_ / static_cast<double>(capacities_.size()) / 4;
      const auto wells =
          find_wells(graph, loads, well_load,
                     start ? std::span<const place_index>{*start} : std::span<const place_index>{},
                     options_.seed + level);
      if (wells.count < graph.groups() - graph.groups() / 20) {
        std::vector<double> well_loads(wells.count, 0);
        for (std::size_t g = 0; g < loads.size(); ++g) well_loads[wells.of[g]] += loads[g];
        std::vector<place_index> well_start(start ? wells.count : 0);
        if (start)
          for (std::size_t g = 0; g < loads.size(); ++g) well_start[wells.of[g]] = (*start)[g];
        const auto above = descend(graph.contracted(wells.of, wells.count), well_loads,
                                   start ? &well_start : nullptr, level + 1);
        placement.resize(graph.groups());
        for (std::size_t g = 0; g < placement.size(); ++g) placement[g] = above[wells.of[g]];
        placed = true;
      }
    }
    if (!placed) placement = start ? *start : bisect(graph, loads, capacities_, options_.seed);
    refine(here, placement, refinement_passes, options_.seed + level);
    if (graph.groups() <= pairs_groups_max) {
      refine_pairs(here, placement, pair_partners, options_.seed + level);
      refine(here, placement, refinement_passes, options_.seed + level);
    }
    if (start) *start = placement;
    return placement;
  }

  /// Whether a placement breaks limits by more load than another one.
  [[nodiscard]] bool overfull(const std::vector<place_index>& placement,
                              const std::vector<place_index>& other) const {
    const auto excess = [&](const std::vector<place_index>& of) {
      std::vector<double> load(capacities_.size(), 0);
      for (std::size_t g = 0; g < of.size(); ++g) load[of[g]] += loads_[g];
      double sum = 0;
      for (std::size_t p = 0; p < load.size(); ++p) sum += std::max(load[p] - limits_[p], 0.0);
      return sum;
    };
    return excess(placement) > excess(other) + total_load_ * 1e-3;
  }

  /// Which of two equal places is which does not matter to the cut, but to the moves: each takes
  /// the name of the place that most of its mass lives in now.
  void rename_places(std::vector<place_index>& placement) const {
    struct overlap {
      place_index block, place;
      double mass;
    };
    std::vector<std::uint32_t> order(placement.size());
    std::iota(order.begin(), order.end(), 0u);
    std::ranges::sort(order, [&](std::uint32_t a, std::uint32_t b) {
      return placement[a] != placement[b] ? placement[a] < placement[b]
                                          : placement_[a] < placement_[b];
    });
    std::vector<overlap> overlaps;
    for (const auto g : order) {
      if (overlaps.empty() || overlaps.back().block != placement[g] ||
          overlaps.back().place != placement_[g])
        overlaps.push_back({placement[g], placement_[g], 0});
      overlaps.back().mass += groups_[g].mass;
    }
    std::ranges::stable_sort(overlaps, std::greater{}, &overlap::mass);
    const auto places = static_cast<place_index>(capacities_.size());
    std::vector<place_index> name(places, no_place);
    std::vector<std::uint8_t> taken(places, 0);
    for (const auto& o : overlaps)
      if (name[o.block] == no_place && !taken[o.place] &&
          capacities_[o.block] == capacities_[o.place]) {
        name[o.block] = o.place;
        taken[o.place] = 1;
      }
    // The rest are matched within their capacity: as many names are left of each as blocks.
    std::vector<place_index> free, nameless;
    for (place_index p = 0; p < places; ++p) {
      if (!taken[p]) free.push_back(p);
      if (name[p] == no_place) nameless.push_back(p);
    }
    const auto by_capacity = [&](place_index p) { return capacities_[p]; };
    std::ranges::stable_sort(free, {}, by_capacity);
    std::ranges::stable_sort(nameless, {}, by_capacity);
    for (std::size_t i = 0; i < free.size(); ++i) name[nameless[i]] = free[i];
    for (auto& p : placement) p = name[p];
  }

  /// Groups without history stay unless their place is too full.
  void keep_ties(std::vector<place_index>& goal) const {
    std::vector<double> load(capacities_.size(), 0);
    for (std::size_t g = 0; g < goal.size(); ++g) load[goal[g]] += loads_[g];
    for (std::size_t g = 0; g < goal.size(); ++g) {
      const auto home = placement_[g];
      if (goal[g] == home || !graph_.of(g).empty() || load[home] + loads_[g] > limits_[home])
        continue;
      load[goal[g]] -= loads_[g];
      load[home] += loads_[g];
      goal[g] = home;
    }
  }

  /// A group that is not where it should be.
  struct step {
    double worth; ///< co-access weight it will be bound with there, for its mass
    std::uint32_t group;
    bool operator<(const step& other) const noexcept {
      return worth != other.worth ? worth < other.worth : group > other.group;
    }
  };

  /// The steps of this round: what binds most weight for its mass goes first, and nothing goes
  /// where there is no room for it yet. When all that is left waits for each other in a circle, one
  /// of them goes ahead.
  void take_steps(assignment& out) {
    std::vector<std::vector<step>> waiting(capacities_.size()); // by where they go, the best last
    for (std::uint32_t g = 0; g < groups_.size(); ++g) {
      if (out.goal[g] == placement_[g]) continue;
      double bound = 0;
      for (const auto& l : graph_.of(g))
        if (out.goal[l.to] == out.goal[g]) bound += l.weight;
      const bool relieves = load_[placement_[g]] > limits_[placement_[g]];
      const double worth = bound / std::max(groups_[g].mass, 1e-12);
      waiting[out.goal[g]].push_back({relieves ? worth * 2 : worth, g});
    }
    for (auto& steps : waiting) std::sort(steps.begin(), steps.end());

    std::priority_queue<std::pair<double, place_index>> awake;
    const auto wake = [&](place_index p) {
      if (!waiting[p].empty() && fits(waiting[p].back().group, p))
        awake.push({waiting[p].back().worth, p});
    };
    double mass_left = total_mass_ * options_.moved_mass_share_max;
    const auto go = [&](place_index to) {
      const auto g = waiting[to].back().group;
      if (groups_[g].mass > mass_left) return false;
      const auto from = placement_[g];
      waiting[to].pop_back();
      mass_left -= groups_[g].mass;
      load_[from] -= loads_[g];
      load_[to] += loads_[g];
      placement_[g] = to;
      out.moves.push_back({g, from, to});
      wake(to);
      wake(from);
      return true;
    };
    for (place_index p = 0; p < waiting.size(); ++p) wake(p);
    while (out.moves.size() < options_.moves_max) {
      auto next = no_place;
      if (!awake.empty()) {
        next = awake.top().second;
        awake.pop();
        if (waiting[next].empty() || !fits(waiting[next].back().group, next)) continue;
      } else {
        next = least_overfilled(waiting);
        if (next == no_place) break;
      }
      if (!go(next)) break; // the next best is beyond the budget: it has the next round to itself
    }
  }

  /// Of the places within their limits the one that its next group would take above it least.
  [[nodiscard]] place_index
  least_overfilled(const std::vector<std::vector<step>>& waiting) const noexcept {
    auto best = no_place;
    double least = 0;
    for (place_index p = 0; p < waiting.size(); ++p) {
      if (waiting[p].empty() || load_[p] > limits_[p]) continue;
      const double over = (load_[p] + loads_[waiting[p].back().group]) / limits_[p];
      if (best == no_place || over < least) {
        best = p;
        least = over;
      }
    }
    return best;
  }

  const coaccess_graph& graph_;
  std::span<const placed_group> groups_;
  const assign_options& options_;
  std::vector<std::uint64_t> site_ids_;
  std::vector<double> capacities_, limits_, loads_;
  double total_load_ = 0, total_mass_ = 0;
  std::vector<place_index> placement_; ///< where groups live, in the end after this round's moves
  std::vector<double> load_;           ///< of the places, accordingly
};

} // namespace

assignment assign(const coaccess_graph& graph, std::span<const placed_group> groups,
                  std::span<const placement_site> sites, std::span<const place_index> goal,
                  const assign_options& options) {
  assert(graph.groups() == groups.size() && !sites.empty());
  assert(options.max_over_mean > 1);
  return planner{graph, groups, sites, options}.plan(goal);
}

} // namespace warp::physics
