#include "physics/bisection.hpp"

#include "physics/two_way_cut.hpp"

#include <algorithm>
#include <cassert>
#include <cmath>
#include <limits>

namespace warp::physics {

namespace {

class bisector {
public:
  bisector(const coaccess_graph& graph, std::span<const double> loads,
           std::span<const double> capacities, std::uint64_t seed)
      : loads_(loads), capacities_(capacities), cut_(graph, loads, seed) {
    // The halves' tolerances multiply from cut to cut: together they are to stay within 3 %.
    tolerance_ = 0.03 / std::ceil(std::log2(static_cast<double>(capacities.size()) + 1));
  }

  /// Region `first` holds exactly `members`; afterwards region p holds what place p gets.
  void divide(std::vector<std::uint32_t> members, place_index first, place_index last) {
    if (last - first < 2) return;
    const place_index middle = first + (last - first) / 2;
    double left = 0, all = 0, load = 0;
    for (auto p = first; p < last; ++p) (p < middle ? left : all) += capacities_[p];
    all += left;
    for (const auto g : members) load += loads_[g];
    cut_region(members, load * left / all, load * tolerance_);

    std::vector<std::uint32_t> halves[2];
    for (const auto g : members) {
      if (cut_.side(g)) cut_.region(g) = middle;
      halves[cut_.side(g)].push_back(g);
    }
    members = {};
    divide(std::move(halves[0]), first, middle);
    divide(std::move(halves[1]), middle, last);
  }

  [[nodiscard]] std::vector<place_index> take() noexcept { return cut_.take_regions(); }

private:
  /// Leaves the better of a few attempts as sides: 0 for about `target` of the load, 1 for the
  /// rest. Groups without links in the region are set aside first, and evened out with at the end:
  /// with many of them the bound ones may be cut where that is cheapest.
  void cut_region(std::span<const std::uint32_t> members, double target, double slack) {
    constexpr int attempts = 10, passes = 6;
    std::vector<std::uint32_t> bound, loose;
    double bound_load = 0, loose_load = 0;
    for (const auto g : members) {
      const bool has_links = cut_.inner_weight(g) > 0;
      (has_links ? bound : loose).push_back(g);
      (has_links ? bound_load : loose_load) += loads_[g];
    }
    const two_way_cut::range allowed{target - loose_load - slack, target + slack};
    // A few attempts aim at different shares of the bound groups, all of them within the range.
    const double least = std::max(target - loose_load, 0.0), most = std::min(target, bound_load);
    std::vector<std::uint8_t> best(bound.size(), 0);
    double best_cut = std::numeric_limits<double>::infinity();
    for (int attempt = 0; attempt < attempts && !bound.empty(); ++attempt) {
      const double even = target * bound_load / (bound_load + loose_load);
      const double aim = attempt == 0 ? even : least + (most - least) * cut_.random().unit();
      cut_.grow(bound, std::clamp(aim, least, std::max(most, least)));
      for (int pass = 0; pass < passes; ++pass)
        if (!cut_.improve(bound, allowed)) break;
      if (const double cut = cut_.cut_of(bound); cut < best_cut) {
        best_cut = cut;
        for (std::size_t i = 0; i < bound.size(); ++i) best[i] = cut_.side(bound[i]);
      }
    }
    double load = 0;
    for (std::size_t i = 0; i < bound.size(); ++i) {
      cut_.side(bound[i]) = best[i];
      if (best[i] == 0) load += loads_[bound[i]];
    }
    std::ranges::sort(loose, [&](std::uint32_t a, std::uint32_t b) {
      return loads_[a] != loads_[b] ? loads_[a] > loads_[b] : a < b;
    });
    for (const auto g : loose) {
      cut_.side(g) = target - load >= loads_[g] / 2 ? 0 : 1;
      if (cut_.side(g) == 0) load += loads_[g];
    }
  }

  std::span<const double> loads_;
  std::span<const double> capacities_;
  two_way_cut cut_; ///< region: the first place of the range a group is still bound for
  double tolerance_;
};

} // namespace

std::vector<place_index> bisect(const coaccess_graph& graph, std::span<const double> loads,
                                std::span<const double> capacities, std::uint64_t seed) {
  assert(loads.size() == graph.groups() && !capacities.empty());
  bisector work{graph, loads, capacities, seed};
  std::vector<std::uint32_t> members(graph.groups());
  for (std::uint32_t g = 0; g < members.size(); ++g) members[g] = g;
  work.divide(std::move(members), 0, static_cast<place_index>(capacities.size()));
  return work.take();
}

} // namespace warp::physics
