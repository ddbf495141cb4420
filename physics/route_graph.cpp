#include "physics/route_graph.hpp"

#include <algorithm>
#include <cassert>
#include <numeric>

namespace warp::physics {

float edge_cost_us(const link_state& link) noexcept {
  if (link.broken || !(link.loss < 0.5) || !(link.rtt_us > 0)) return no_route_cost;
  const double free = 1 - std::clamp(link.load, 0.0, 0.99);
  return static_cast<float>(link.rtt_us / (free * (1 - std::max(link.loss, 0.0))));
}

route_graph::route_graph(std::uint64_t version, std::size_t nodes, std::span<const edge> edges)
    : version_(version), first_out_(nodes + 1, 0), first_in_(nodes + 1, 0),
      cheapest_out_(nodes, no_route_cost) {
  assert(nodes <= 65'535);
  std::vector<edge> kept;
  for (const auto& e : edges) {
    assert(e.from < nodes && e.to < nodes && e.cost_us > 0);
    if (e.from != e.to && e.cost_us < no_route_cost) kept.push_back(e);
  }
  std::ranges::sort(kept, [](const edge& a, const edge& b) {
    if (a.from != b.from) return a.from < b.from;
    return a.to != b.to ? a.to < b.to : a.cost_us < b.cost_us;
  });
  const auto same = [](const edge& a, const edge& b) { return a.from == b.from && a.to == b.to; };
  kept.erase(std::unique(kept.begin(), kept.end(), same), kept.end());
  // The cheapest first: a search stops at the first edge that is too dear.
  std::ranges::stable_sort(kept, {}, &edge::cost_us);
  for (const auto& e : kept) {
    ++first_out_[e.from + 1u];
    ++first_in_[e.to + 1u];
    cheapest_out_[e.from] = std::min(cheapest_out_[e.from], e.cost_us);
  }
  std::partial_sum(first_out_.begin(), first_out_.end(), first_out_.begin());
  std::partial_sum(first_in_.begin(), first_in_.end(), first_in_.begin());
  out_.resize(kept.size());
  in_.resize(kept.size());
  auto next_out = first_out_, next_in = first_in_;
  for (const auto& e : kept) {
    out_[next_out[e.from]++] = {e.to, e.cost_us};
    in_[next_in[e.to]++] = {e.from, e.cost_us};
  }
}

/// What up to `hops` (0 to 2) hops reach from `start` at a cost below cost_max.
template <class Arcs>
void route_finder::spread(half& side, node_index start, unsigned hops, Arcs arcs, float cost_max) {
  side.list.clear();
  const auto reach = [&](node_index node, float cost, node_index via, std::uint8_t taken) {
    auto& r = side.at[node];
    if (r.round == round_) {
      if (cost >= r.cost_us) return;
    } else {
      side.list.push_back(node);
    }
    r = {cost, round_, via, taken};
  };
  reach(start, 0, start, 0);
  if (hops == 0) return;
  const auto first = arcs(start);
  for (const auto& a : first)
    if (a.cost_us < cost_max) reach(a.to, a.cost_us, start, 1);
  if (hops == 1) return;
  // From the edges, not from what is reached: a node that another one has reached more cheaply
  // meanwhile would make three hops of two.
  for (const auto& a : first) {
    if (a.cost_us >= cost_max) break;
    for (const auto& b : arcs(a.to)) {
      const float cost = a.cost_us + b.cost_us;
      if (cost >= cost_max) break;
      reach(b.to, cost, a.to, 2);
    }
  }
}

route route_finder::find(const route_graph& graph, node_index from, node_index to,
                         unsigned hop_limit) {
  assert(from < graph.nodes() && to < graph.nodes());
  assert(hop_limit >= 1 && hop_limit <= route::relays_max + 1);
  if (from == to) return {.cost_us = 0};
  if (ahead_.at.size() < graph.nodes()) {
    ahead_.at.resize(graph.nodes());
    back_.at.resize(graph.nodes());
  }
  if (++round_ == 0) { // the counter has come around: what is old would look new
    std::ranges::fill(ahead_.at, reached{});
    std::ranges::fill(back_.at, reached{});
    round_ = 1;
  }
  const unsigned hops_back = (hop_limit - 1) / 2, hops_ahead = hop_limit - 1 - hops_back;
  spread(
      back_, to, hops_back, [&](node_index n) { return graph.in(n); }, no_route_cost);

  // A first route, over what the source reaches at once, bounds what is worth looking at.
  float best = no_route_cost;
  for (const auto& a : graph.out(from))
    if (const auto& b = back_.at[a.to]; b.round == round_)
      best = std::min(best, a.cost_us + b.cost_us);
  // Any route found later may be as dear as the bound, which has not been taken down as a route.
  best = best < no_route_cost ? best * 1.000001f : best;
  spread(
      ahead_, from, hops_ahead, [&](node_index n) { return graph.out(n); }, best);

  node_index last_ahead = 0, first_back = 0;
  bool found = false;
  for (const auto u : ahead_.list) {
    const float so_far = ahead_.at[u].cost_us;
    if (so_far + graph.cheapest_out(u) >= best) continue;
    for (const auto& e : graph.out(u)) {
      const float cost = so_far + e.cost_us;
      if (cost >= best) break;
      const auto& b = back_.at[e.to];
      if (b.round == round_ && cost + b.cost_us < best) {
        best = cost + b.cost_us;
        last_ahead = u;
        first_back = e.to;
        found = true;
      }
    }
  }
  route out;
  if (!found) return out;
  out.cost_us = best;
  const auto relay = [&](node_index n) { out.relays[out.relay_count++] = n; };
  const auto& a = ahead_.at[last_ahead];
  if (a.hops == 2) relay(a.via);
  if (a.hops >= 1) relay(last_ahead);
  const auto& b = back_.at[first_back];
  if (b.hops >= 1) relay(first_back);
  if (b.hops == 2) relay(b.via);
  return out;
}

route best_relay(std::span<const float> from_source, std::span<const float> to_target,
                 node_index from, node_index to) noexcept {
  assert(from_source.size() == to_target.size());
  assert(from < from_source.size() && to < from_source.size());
  if (from == to) return {.cost_us = 0};
  // Eight minima side by side, which a compiler turns into vectors; then the node that gave it.
  constexpr std::size_t lanes = 8;
  float least[lanes];
  std::ranges::fill(least, no_route_cost);
  const std::size_t count = from_source.size(), whole = count / lanes * lanes;
  const auto span_least = [&](std::size_t begin, std::size_t end) {
    for (std::size_t i = begin; i + lanes <= end; i += lanes)
      for (std::size_t k = 0; k < lanes; ++k)
        least[k] = std::min(least[k], from_source[i + k] + to_target[i + k]);
  };
  span_least(0, whole);
  float best = *std::min_element(least, least + lanes);
  for (std::size_t i = whole; i < count; ++i) best = std::min(best, from_source[i] + to_target[i]);
  // The ends themselves may stand in the spans at cost 0 or more: going over them is no relay.
  route out;
  const float direct = from_source[to];
  if (best < direct)
    for (std::size_t i = 0; i < count; ++i)
      if (from_source[i] + to_target[i] == best && i != from && i != to) {
        out.cost_us = best;
        out.relay_count = 1;
        out.relays[0] = static_cast<node_index>(i);
        return out;
      }
  // Not below the direct link, or only over an end: then each node is looked at for itself.
  out.cost_us = direct;
  if (best < direct)
    for (std::size_t i = 0; i < count; ++i)
      if (i != from && i != to && from_source[i] + to_target[i] < out.cost_us) {
        out.cost_us = from_source[i] + to_target[i];
        out.relay_count = 1;
        out.relays[0] = static_cast<node_index>(i);
      }
  return out;
}

} // namespace warp::physics
