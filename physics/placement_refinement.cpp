#include "physics/placement_refinement.hpp"

#include "physics/mixing.hpp"
#include "physics/two_way_cut.hpp"

#include <algorithm>
#include <cassert>
#include <limits>
#include <numeric>
#include <utility>

namespace warp::physics {

namespace {

/// Sums of the same weights in another order differ by less: that is no gain.
constexpr double tie = 1e-6;

class refiner {
public:
  refiner(const refinement_input& in, std::vector<place_index>& placement, std::uint64_t seed)
      : in_(in), placement_(placement), random_(seed), place_load_(in.limits.size(), 0),
        loose_load_(in.limits.size(), 0), pull_(in.limits.size(), 0) {
    for (std::size_t g = 0; g < placement.size(); ++g) {
      place_load_[placement[g]] += in.loads[g];
      if (in.graph.of(g).empty()) loose_load_[placement[g]] += in.loads[g];
    }
    order_.resize(placement.size());
    std::iota(order_.begin(), order_.end(), 0u);
  }

  /// How many groups moved.
  std::size_t pass() {
    std::size_t moved = 0;
    shuffle(std::span{order_}, random_);
    for (const auto g : order_) {
      const auto links = in_.graph.of(g);
      if (links.empty()) continue;
      const auto own = placement_[g];
      bool inside = true; // most groups have all their partners with them
      for (const auto& l : links)
        if (placement_[l.to] != own) {
          inside = false;
          break;
        }
      if (inside) continue;
      const double all = gather(links);
      place_index best = own;
      double best_attraction = 0;
      for (const auto p : near_)
        if (p != own && pull_[p] > pull_[own] * (1 + tie) &&
            place_load_[p] - loose_load_[p] + in_.loads[g] <= in_.limits[p]) {
          const double a = attraction_of(p, all);
          if (a > best_attraction) {
            best_attraction = a;
            best = p;
          }
        }
      clear();
      if (best == own) continue;
      move(g, best);
      ++moved;
    }
    return moved;
  }

  /// Takes places below their limits where it can.
  void relieve() {
    std::vector<std::uint8_t> full(place_load_.size(), 0);
    bool any = false;
    for (std::size_t p = 0; p < full.size(); ++p)
      any |= (full[p] = place_load_[p] > in_.limits[p]) != 0;
    if (!any) return;
    struct candidate {
      double loss; // co-access weight that leaves, for each unit of load that goes
      std::uint32_t group;
    };
    std::vector<candidate> candidates;
    for (std::uint32_t g = 0; g < placement_.size(); ++g) {
      if (!full[placement_[g]] || in_.loads[g] <= 0) continue;
      double stays = 0, goes = 0;
      for (const auto& l : in_.graph.of(g))
        (placement_[l.to] == placement_[g] ? stays : goes) += l.weight;
      candidates.push_back({(stays - goes) / in_.loads[g], g});
    }
    std::ranges::sort(candidates, [](const candidate& a, const candidate& b) {
      return a.loss != b.loss ? a.loss < b.loss : a.group < b.group;
    });
    // By fullness: the places with the most room first, for groups that have no partner elsewhere.
    std::vector<place_index> by_room(place_load_.size());
    std::iota(by_room.begin(), by_room.end(), 0u);
    const auto room = [&](place_index p) { return in_.limits[p] - place_load_[p]; };
    const auto less_room = [&](place_index a, place_index b) { return room(a) < room(b); };
    std::ranges::make_heap(by_room, less_room);
    for (const auto& c : candidates) {
      const auto g = c.group;
      const auto own = placement_[g];
      if (place_load_[own] <= in_.limits[own]) continue;
      const double all = gather(in_.graph.of(g));
      place_index best = no_place;
      double best_attraction = 0;
      for (const auto p : near_)
        if (p != own && place_load_[p] + in_.loads[g] <= in_.limits[p])
          if (const double a = attraction_of(p, all); a > best_attraction) {
            best_attraction = a;
            best = p;
          }
      clear();
      if (best == no_place) {
        // The heap's order is that of a moment ago; one step repairs what matters.
        std::ranges::pop_heap(by_room, less_room);
        best = by_room.back();
        if (best == own || place_load_[best] + in_.loads[g] > in_.limits[best]) best = no_place;
      }
      if (best != no_place) move(g, best);
      std::ranges::push_heap(by_room, less_room);
    }
  }

private:
  double gather(std::span<const coaccess_graph::link> links) {
    double all = 0;
    for (const auto& l : links) {
      const auto p = placement_[l.to];
      if (pull_[p] == 0) near_.push_back(p);
      pull_[p] += l.weight;
      all += l.weight;
    }
    return all;
  }
  void clear() noexcept {
    for (const auto p : near_) pull_[p] = 0;
    near_.clear();
  }
  [[nodiscard]] double attraction_of(place_index p, double all) const noexcept {
    return attraction(1, in_.capacities[p], place_load_[p] / in_.limits[p],
                      coaccess_distance(pull_[p], all), in_.softening);
  }
  void move(std::uint32_t g, place_index to) noexcept {
    place_load_[placement_[g]] -= in_.loads[g];
    place_load_[to] += in_.loads[g];
    if (in_.graph.of(g).empty()) {
      loose_load_[placement_[g]] -= in_.loads[g];
      loose_load_[to] += in_.loads[g];
    }
    placement_[g] = to;
  }

  const refinement_input& in_;
  std::vector<place_index>& placement_;
  mixed_sequence random_;
  std::vector<double> place_load_;
  std::vector<double> loose_load_; ///< the share of groups without links, which can give way
  std::vector<double> pull_;       ///< co-access weight of the group in hand, by place
  std::vector<place_index> near_;
  std::vector<std::uint32_t> order_;
};

} // namespace

void refine(const refinement_input& in, std::vector<place_index>& placement, int passes,
            std::uint64_t seed) {
  assert(placement.size() == in.graph.groups() && in.loads.size() == placement.size());
  assert(in.limits.size() == in.capacities.size());
  refiner work{in, placement, seed};
  for (int pass = 0; pass < passes; ++pass) {
    work.relieve();
    if (work.pass() <= placement.size() / 2000) break;
  }
  work.relieve();
}

void refine_pairs(const refinement_input& in, std::vector<place_index>& placement,
                  std::size_t partners, std::uint64_t seed) {
  const auto places = static_cast<place_index>(in.limits.size());
  std::vector<std::vector<std::uint32_t>> members(places);
  std::vector<double> bound_load(places, 0);
  for (std::uint32_t g = 0; g < placement.size(); ++g) {
    if (in.graph.of(g).empty()) continue;
    members[placement[g]].push_back(g);
    bound_load[placement[g]] += in.loads[g];
  }
  // Which pairs: those with most weight between them, each once.
  std::vector<std::pair<place_index, place_index>> pairs;
  std::vector<double> pull(places, 0);
  std::vector<place_index> near;
  for (place_index p = 0; p < places; ++p) {
    near.clear();
    for (const auto g : members[p])
      for (const auto& l : in.graph.of(g)) {
        const auto q = placement[l.to];
        if (q == p) continue;
        if (pull[q] == 0) near.push_back(q);
        pull[q] += l.weight;
      }
    const auto kept = std::min(partners, near.size());
    std::ranges::partial_sort(near, near.begin() + static_cast<std::ptrdiff_t>(kept),
                              [&](place_index a, place_index b) {
                                return pull[a] != pull[b] ? pull[a] > pull[b] : a < b;
                              });
    for (const auto q : near) pull[q] = 0;
    for (std::size_t i = 0; i < kept; ++i) pairs.push_back(std::minmax(p, near[i]));
  }
  std::ranges::sort(pairs);
  pairs.erase(std::unique(pairs.begin(), pairs.end()), pairs.end());
  mixed_sequence random{seed};
  shuffle(std::span{pairs}, random);

  two_way_cut cut{in.graph, in.loads, seed};
  std::vector<std::uint32_t> both;
  for (const auto& [a, b] : pairs) {
    both = members[a];
    both.insert(both.end(), members[b].begin(), members[b].end());
    for (const auto g : both) {
      cut.region(g) = 1;
      cut.side(g) = placement[g] == a ? 0 : 1;
    }
    const double load = bound_load[a] + bound_load[b];
    const two_way_cut::range allowed{load - in.limits[b], in.limits[a]};
    bool any = false;
    for (int pass = 0; pass < 3 && cut.improve(both, allowed); ++pass) any = true;
    members[a].clear();
    members[b].clear();
    bound_load[a] = bound_load[b] = 0;
    for (const auto g : both) {
      const auto p = cut.side(g) == 0 ? a : b;
      if (any) placement[g] = p;
      members[placement[g]].push_back(g);
      bound_load[placement[g]] += in.loads[g];
      cut.region(g) = 0;
    }
  }
}

} // namespace warp::physics
