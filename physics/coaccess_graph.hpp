#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace warp::physics {

/// Who is used with whom: groups (numbered from 0) as the nodes of an undirected graph, the weight
/// of a link how often both appeared in one request window (decayed or not). Immutable; the links
/// of a group lie side by side in memory: 8 bytes a link and direction.
class coaccess_graph {
public:
  struct pair {
    std::uint32_t a = 0, b = 0;
    float weight = 0;
  };
  struct link {
    std::uint32_t to = 0;
    float weight = 0;
  };

  coaccess_graph() : first_(1, 0) {}
  /// Pairs may repeat, in either order: their weights add up. A pair of a group with itself and
  /// weights <= 0 are left out. a, b < groups. O(groups + pairs).
  coaccess_graph(std::size_t groups, std::span<const pair> pairs);

  [[nodiscard]] std::size_t groups() const noexcept { return first_.size() - 1; }
  /// Links in both directions: twice the number of different pairs.
  [[nodiscard]] std::size_t links() const noexcept { return links_.size(); }
  [[nodiscard]] std::span<const link> of(std::size_t group) const noexcept {
    return {links_.data() + first_[group], first_[group + 1] - first_[group]};
  }
  /// Sum of the weights of a group's links. O(links of the group).
  [[nodiscard]] double weight_of(std::size_t group) const noexcept;

  /// The graph between clusters: node c stands for all groups with cluster_of[group] == c, links
  /// within a cluster are gone. cluster_of has groups() entries below `clusters`. O(links).
  [[nodiscard]] coaccess_graph contracted(std::span<const std::uint32_t> cluster_of,
                                          std::size_t clusters) const;

  /// Weight of the links between groups with different labels (places), each link counted once.
  /// O(links).
  [[nodiscard]] double cut(std::span<const std::uint32_t> label) const noexcept;

private:
  std::vector<std::size_t> first_; ///< of a group's links; one more at the end
  std::vector<link> links_;
};

} // namespace warp::physics
