#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace warp::physics {

/// Number of a node in a topology, below 65,536.
using node_index = std::uint16_t;

/// What is measured of the link from one node to another.
struct link_state {
  double rtt_us = 0; ///< round-trip time, > 0
  double load = 0;   ///< share of what the link can carry, >= 0; counted up to 0.99
  double loss = 0;   ///< share of the messages that get lost, in [0, 1]; counted as broken from 0.5
  bool broken = false;
};

inline constexpr float no_route_cost = std::numeric_limits<float>::infinity();

/// Edge cost: the time a round trip takes with waiting and sending again, us; infinite for a
/// broken link.
///     rtt / ((1 - load) (1 - loss))
/// Waiting as in a queue with random arrivals (M/M/1), 1 / (1 - loss) attempts on average.
[[nodiscard]] float edge_cost_us(const link_state& link) noexcept;

/// A way from one node to another: the nodes between them, in order.
struct route {
  static constexpr std::size_t relays_max = 4; ///< a hop limit of 5

  float cost_us = no_route_cost; ///< infinite: there is none
  std::uint8_t relay_count = 0;
  std::array<node_index, relays_max> relays{};

  [[nodiscard]] bool exists() const noexcept { return cost_us < no_route_cost; }
  [[nodiscard]] std::span<const node_index> between() const noexcept {
    return {relays.data(), relay_count};
  }
};

/// Learned routes, the second kind of wormhole: the nodes with the costs of the links between
/// them, as they are at one version of the topology. Immutable: a measurement that changes a cost
/// makes a new graph with a new version. Directed.
class route_graph {
public:
  struct edge {
    node_index from = 0, to = 0;
    float cost_us = 0; ///< > 0; infinite edges and those of a node to itself are left out
  };

  /// Of edges with the same ends the cheapest counts. nodes in [0, 65,535]; version: of the
  /// topology, the caller's, never used for another graph. O(edges log edges).
  route_graph(std::uint64_t version, std::size_t nodes, std::span<const edge> edges);

  struct arc {
    node_index to = 0;
    float cost_us = 0;
  };

  [[nodiscard]] std::uint64_t version() const noexcept { return version_; }
  [[nodiscard]] std::size_t nodes() const noexcept { return first_out_.size() - 1; }
  [[nodiscard]] std::span<const arc> out(node_index from) const noexcept {
    return {out_.data() + first_out_[from], first_out_[from + 1u] - first_out_[from]};
  }
  /// The edges that lead to a node; arc::to is where they come from.
  [[nodiscard]] std::span<const arc> in(node_index to) const noexcept {
    return {in_.data() + first_in_[to], first_in_[to + 1u] - first_in_[to]};
  }
  /// Cost of the cheapest edge that leaves a node; infinite without one.
  [[nodiscard]] float cheapest_out(node_index from) const noexcept { return cheapest_out_[from]; }

private:
  std::uint64_t version_;
  std::vector<std::uint32_t> first_out_, first_in_;
  std::vector<arc> out_, in_; ///< of each node the cheapest first
  std::vector<float> cheapest_out_;
};

/// Finds shortest routes of at most `hop_limit` edges on one graph after the other. Keeps its
/// memory from search to search: one thread, about 40 bytes a node.
class route_finder {
public:
  /// The cheapest route with at most hop_limit edges, hop_limit in [1, 5]; of equal ones any. A
  /// node reaches itself at cost 0. From both ends: what up to two hops reach from the source, what
  /// up to two hops reach the target from, and the cheapest edge between the two; costs that can't
  /// win are cut off by the best route known so far. O(degree^2) to O(degree^3), where Bellman and
  /// Ford's layers take O(hop_limit x edges).
  [[nodiscard]] route find(const route_graph& graph, node_index from, node_index to,
                           unsigned hop_limit = 5);

private:
  struct reached {
    float cost_us = no_route_cost;
    std::uint32_t round = 0; ///< older than round_: not reached
    node_index via = 0;      ///< the node between, when `hops` is 2
    std::uint8_t hops = 0;
  };
  struct half {
    std::vector<reached> at;
    std::vector<node_index> list; ///< what is reached
  };

  template <class Arcs>
  void spread(half& side, node_index start, unsigned hops, Arcs arcs, float cost_max);

  std::uint32_t round_ = 0;
  half ahead_, back_;
};

/// Best relay in a full mesh: from one node to another directly or over one node between them.
/// Both spans have one entry a node: the cost from the source to it and from it to the target,
/// infinite where the link is broken; `from` and `to` are left out as relays. O(nodes).
[[nodiscard]] route best_relay(std::span<const float> from_source, std::span<const float> to_target,
                               node_index from, node_index to) noexcept;

} // namespace warp::physics
