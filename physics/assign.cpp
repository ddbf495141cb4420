#include "physics/assign.hpp"

#include "physics/bisection.hpp"
#include "physics/gravity_wells.hpp"
#include "physics/placement_refinement.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>
#include <numeric>
#include <queue>
#include <utility>

namespace warp::physics {

namespace {

constexpr int refinement_passes = 6;
/// What partners count that a group will be with at its goal, beside those it is with at once.
constexpr double yet_to_come = 0.01;
/// Half of the way from one good placement to another cuts so many times what its ends do: about
/// three to four on the shop model with 16 places.
constexpr double on_the_way = 4;
/// For how long a goal is thought to be good: the time in which all of the mass could be moved so
/// many times. Longer, and a placement follows each new graph; shorter, and it stays where it
/// began.
constexpr double moved_over = 4;
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
    for (std::size_t g = 0; g < graph.groups(); ++g) weight_of_all_ += graph.weight_of(g) / 2;
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

    // Repaired group by group, the goal stays near the one before; improved through wells, or made
    // from nothing, it cuts less but lies elsewhere.
    auto best = start;
    refine({graph_, loads_, capacities_, limits_, options_.softening}, best, refinement_passes,
           options_.seed);
    keep_ties(best);
    auto worth = worth_of(best, out.cut_now);
    const auto consider = [&](std::vector<place_index> other) {
      keep_ties(other);
      const auto its = worth_of(other, out.cut_now);
      if (!its.better_than(worth)) return;
      best = std::move(other);
      worth = its;
    };
    if (graph_.links() > 0 && capacities_.size() > 1) {
      descend(graph_, loads_, &start, 0);
      consider(std::move(start));
      auto fresh = descend(graph_, loads_, nullptr, 0);
      rename_places(fresh);
      consider(std::move(fresh));
    }
    out.goal = std::move(best);
    out.cut_at_goal = graph_.cut(out.goal);
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

  /// What a goal is worth: the weight that is cut in the time in which all of the mass could be
  /// moved `moved_over` times, and by how much load it breaks limits. The way counts as worse than
  /// its ends.
  struct goal_worth {
    double cut, excess, tolerated;
    [[nodiscard]] bool better_than(const goal_worth& other) const noexcept {
      if (excess > other.excess + tolerated) return false;
      if (other.excess > excess + tolerated) return true;
      return cut < other.cut;
    }
  };
  [[nodiscard]] goal_worth worth_of(const std::vector<place_index>& goal, double cut_now) const {
    std::vector<double> load(capacities_.size(), 0);
    double away = 0;
    for (std::size_t g = 0; g < goal.size(); ++g) {
      load[goal[g]] += loads_[g];
      if (goal[g] != placement_[g]) away += groups_[g].mass;
    }
    double excess = 0;
    for (std::size_t p = 0; p < load.size(); ++p) excess += std::max(load[p] - limits_[p], 0.0);
    const double way = total_mass_ > 0 ? away / total_mass_ : 0;
    const double half_way = std::min(cut_now * on_the_way, weight_of_all_);
    return {way * half_way + (moved_over - way) * graph_.cut(goal), excess, total_load_ * 1e-3};
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
    double worth; ///< what its going takes off the cut now, for its mass
    std::uint32_t group;
    bool operator<(const step& other) const noexcept {
      return worth != other.worth ? worth < other.worth : group > other.group;
    }
  };
  using steps = std::priority_queue<step>;

  /// By how much the cut falls, for the group's mass, if it goes where it should be, as its
  /// partners live now. Those that are still to come count a little: they say where to begin.
  [[nodiscard]] double worth_of_step(const assignment& out, std::uint32_t g) const {
    double gain = 0;
    for (const auto& l : graph_.of(g)) {
      if (placement_[l.to] == out.goal[g])
        gain += l.weight;
      else if (placement_[l.to] == placement_[g])
        gain -= l.weight;
      if (out.goal[l.to] == out.goal[g]) gain += l.weight * yet_to_come;
    }
    if (load_[placement_[g]] > limits_[placement_[g]]) gain += std::abs(gain);
    return gain / std::max(groups_[g].mass, 1e-12);
  }

  /// The steps of this round: what binds most weight for its mass goes first, then those that
  /// belong to it, so that the way is no worse than its ends; and nothing goes where there is no
  /// room for it yet. When all that is left waits for each other in a circle, one of them goes
  /// ahead.
  void take_steps(assignment& out) {
    std::vector<steps> waiting(capacities_.size()); // by where they go
    std::vector<double> worth(groups_.size(), 0);   // older entries of `waiting` are void
    for (std::uint32_t g = 0; g < groups_.size(); ++g)
      if (out.goal[g] != placement_[g])
        waiting[out.goal[g]].push({worth[g] = worth_of_step(out, g), g});
    const auto first = [&](place_index p) -> const step* {
      auto& of = waiting[p];
      while (!of.empty() &&
             (placement_[of.top().group] == p || worth[of.top().group] != of.top().worth))
        of.pop();
      return of.empty() ? nullptr : &of.top();
    };

    constexpr double asleep = -std::numeric_limits<double>::infinity();
    std::priority_queue<std::pair<double, place_index>> awake;
    std::vector<double> awake_with(capacities_.size(), asleep); // older entries are void
    const auto wake = [&](place_index p) {
      const auto* next = first(p);
      const double with = next && fits(next->group, p) ? next->worth : asleep;
      if (with != awake_with[p] && with != asleep) awake.push({with, p});
      awake_with[p] = with;
    };
    double mass_left = total_mass_ * options_.moved_mass_share_max;
    const auto go = [&](place_index to) {
      const auto g = first(to)->group;
      if (groups_[g].mass > mass_left) return false;
      const auto from = placement_[g];
      waiting[to].pop();
      mass_left -= groups_[g].mass;
      load_[from] -= loads_[g];
      load_[to] += loads_[g];
      placement_[g] = to;
      out.moves.push_back({g, from, to});
      for (const auto& l : graph_.of(g)) {
        const auto goal = out.goal[l.to];
        if (goal == placement_[l.to]) continue;
        const double its = worth_of_step(out, l.to);
        if (its == worth[l.to]) continue;
        waiting[goal].push({worth[l.to] = its, l.to});
        wake(goal);
      }
      wake(to);
      wake(from);
      return true;
    };
    for (place_index p = 0; p < waiting.size(); ++p) wake(p);
    while (out.moves.size() < options_.moves_max) {
      auto next = no_place;
      if (!awake.empty()) {
        const auto [with, place] = awake.top();
        awake.pop();
        if (with != awake_with[place]) continue;
        awake_with[place] = asleep;
        next = place;
      } else {
        // Of the places within their limits the one that its next group takes above it least.
        double least = 0;
        for (place_index p = 0; p < waiting.size(); ++p) {
          const auto* const s = first(p);
          if (!s || load_[p] > limits_[p]) continue;
          const double over = (load_[p] + loads_[s->group]) / limits_[p];
          if (next == no_place || over < least) {
            next = p;
            least = over;
          }
        }
        if (next == no_place) break;
      }
      if (!go(next)) break; // the next best is beyond the budget: it has the next round to itself
    }
  }

  const coaccess_graph& graph_;
  std::span<const placed_group> groups_;
  const assign_options& options_;
  std::vector<std::uint64_t> site_ids_;
  std::vector<double> capacities_, limits_, loads_;
  double total_load_ = 0, total_mass_ = 0, weight_of_all_ = 0;
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
