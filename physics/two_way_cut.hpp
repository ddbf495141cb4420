#pragma once

#include "physics/coaccess_graph.hpp"
#include "physics/mixing.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <queue>
#include <span>
#include <vector>

namespace warp::physics {

/// Cuts a part of a graph in two so that little weight is cut (Kernighan and Lin 1970, in the
/// linear form of Fiduccia and Mattheyses 1982). Used over and over on parts of one graph: what it
/// needs for each group is kept between the cuts.
///
/// The part is `members`: a region, that is all groups with one label; every call names them all.
/// One thread; graph and loads outlive it.
class two_way_cut {
public:
  /// What side 0 may hold, as load.
  struct range {
    double low, high;
    /// By how much a load lies outside, >= 0.
    [[nodiscard]] double excess(double load) const noexcept {
      return std::max({load - high, low - load, 0.0});
    }
  };

  /// loads: one a group, >= 0. All groups begin in region 0, on side 0.
  two_way_cut(const coaccess_graph& graph, std::span<const double> loads, std::uint64_t seed);

  [[nodiscard]] std::uint32_t& region(std::uint32_t group) noexcept { return region_[group]; }
  [[nodiscard]] std::uint8_t& side(std::uint32_t group) noexcept { return side_[group]; }
  /// The regions of all groups, moved out.
  [[nodiscard]] std::vector<std::uint32_t> take_regions() noexcept { return std::move(region_); }

  /// Side 0 grows from a random member to about `target` of load, always by the group that is
  /// bound to it most; the rest is side 1. O(links of the members x log).
  void grow(std::span<const std::uint32_t> members, double target);

  /// One pass: a group at the border changes sides at most once, the best first, also at a loss;
  /// what came after the best state is taken back. No state is further outside of `allowed` than
  /// the one before it. False when nothing was won. O(links of the members x log).
  bool improve(std::span<const std::uint32_t> members, const range& allowed);

  /// Weight of the links between the sides. O(links of the members).
  [[nodiscard]] double cut_of(std::span<const std::uint32_t> members) const noexcept;
  /// Weight of a group's links to its own region. O(links of the group).
  [[nodiscard]] double inner_weight(std::uint32_t group) const noexcept;
  [[nodiscard]] mixed_sequence& random() noexcept { return random_; }

private:
  struct entry {
    double gain;
    std::uint32_t group, stamp;
    bool operator<(const entry& other) const noexcept {
      return gain != other.gain ? gain < other.gain : group < other.group;
    }
  };
  using queue = std::priority_queue<entry>;

  void flip(std::uint32_t group, queue* queues);

  const coaccess_graph& graph_;
  std::span<const double> loads_;
  mixed_sequence random_;
  std::vector<std::uint32_t> region_;
  std::vector<std::uint8_t> side_;
  std::vector<double> gain_; ///< what changing sides would take off the cut
  std::vector<std::uint8_t> locked_;
  std::vector<std::uint32_t> stamp_; ///< of the newest entry in a queue; older ones are void
};

} // namespace warp::physics
