// Wormholes: routes around slow and broken links; plain Dijkstra with a hop limit beside it.

#include "physics/route_cache.hpp"
#include "physics/route_graph.hpp"
#include "tests/bench/physics/part.hpp"
#include "tests/bench/process_usage.hpp"
#include "tests/bench/random.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <queue>
#include <string>
#include <vector>

namespace warp::bench::physics {

namespace {

using namespace warp::physics;

/// Each node has links to `degree` others drawn at random, both ways; round trips of 50 us to 5 ms,
/// 2 % of the links are broken.
route_graph some_topology(std::size_t nodes, std::size_t degree, std::uint64_t seed) {
  fast_random random{seed};
  std::vector<route_graph::edge> edges;
  for (std::size_t from = 0; from < nodes; ++from)
    for (std::size_t i = 0; i < degree / 2; ++i) {
      const auto to = random.below(nodes);
      const link_state link{.rtt_us = 50 * std::exp(4.6 * random.unit()),
                            .load = 0.7 * random.unit(),
                            .loss = random.below(20) ? 0 : 0.1 * random.unit(),
                            .broken = random.below(50) == 0};
      const float cost = edge_cost_us(link);
      edges.push_back({static_cast<node_index>(from), static_cast<node_index>(to), cost});
      edges.push_back({static_cast<node_index>(to), static_cast<node_index>(from), cost});
    }
  return route_graph{seed, nodes, edges};
}

/// Baseline: Dijkstra's algorithm over (node, hops), up to the target.
class dijkstra {
public:
  float find(const route_graph& graph, node_index from, node_index to, unsigned hop_limit) {
    constexpr std::size_t layers = 6;
    cost_.assign(graph.nodes() * layers, no_route_cost);
    queue_ = {};
    cost_[from * layers] = 0;
    queue_.push({0, from, 0});
    while (!queue_.empty()) {
      const auto s = queue_.top();
      queue_.pop();
      if (s.node == to) return s.cost;
      if (s.cost > cost_[s.node * layers + s.hops] || s.hops == hop_limit) continue;
      for (const auto& a : graph.out(s.node)) {
        auto& known = cost_[a.to * layers + s.hops + 1];
        if (s.cost + a.cost_us >= known) continue;
        known = s.cost + a.cost_us;
        queue_.push({known, a.to, s.hops + 1});
      }
    }
    return no_route_cost;
  }

private:
  struct state {
    float cost;
    node_index node;
    unsigned hops;
    bool operator<(const state& other) const noexcept { return cost > other.cost; }
  };
  std::vector<float> cost_;
  std::priority_queue<state> queue_;
};

/// Calls work(i) for some CPU seconds of this thread; calls a second.
template <class Work>
double rate_of(double seconds, std::size_t batch, Work&& work) {
  const double begin = process_usage::of_thread().cpu_seconds;
  double used = 0;
  std::size_t done = 0;
  do {
    for (std::size_t i = 0; i < batch; ++i) work(done + i);
    done += batch;
    used = process_usage::of_thread().cpu_seconds - begin;
  } while (used < seconds);
  return static_cast<double>(done) / used;
}

struct ends {
  node_index from, to;
};

std::vector<ends> some_pairs(std::size_t nodes, std::size_t count) {
  fast_random random{5};
  std::vector<ends> out(count);
  for (auto& p : out)
    p = {static_cast<node_index>(random.below(nodes)),
         static_cast<node_index>(random.below(nodes))};
  return out;
}

void sparse(report& out, std::size_t nodes) {
  out.section(fmt::format("routes, {} nodes, degree 16, hop limit 5, CPU time of one core", nodes));
  if (!out.wanted_section()) return;
  const double seconds = out.seconds(out.quick() ? 0.2 : 1);
  const auto graph = some_topology(nodes, 16, 3);
  const auto pairs = some_pairs(nodes, 1 << 15);
  const auto at = [&](std::size_t i) { return pairs[i & (pairs.size() - 1)]; };
  route_finder finder;
  dijkstra other;
  std::vector<double> ours, theirs;
  double sum = 0;
  for (int run = 0; run < 3; ++run) {
    ours.push_back(
        rate_of(seconds, 64,
                [&](std::size_t i) { sum += finder.find(graph, at(i).from, at(i).to).cost_us; }) /
        1e3);
    theirs.push_back(
        rate_of(seconds, 8,
                [&](std::size_t i) { sum += other.find(graph, at(i).from, at(i).to, 5); }) /
        1e3);
  }
  std::size_t worse = 0, none = 0;
  for (std::size_t i = 0; i < 2'000; ++i) {
    const float best = other.find(graph, at(i).from, at(i).to, 5);
    const float cost = finder.find(graph, at(i).from, at(i).to).cost_us;
    worse += cost > best * 1.00001f;
    none += !(best < no_route_cost);
  }
  out.note(fmt::format("of 2,000 routes {} are dearer than Dijkstra's, {} do not exist{}", worse,
                       none, std::isnan(sum) ? "!" : ""));
  out.add({.name = "uncached",
           .unit = "k/s",
           .runs = ours,
           .bar = nodes == 1000 ? 200.0 : 0.0,
           .peer_runs = theirs,
           .peer = "Dijkstra"});

  route_cache cache;
  for (node_index to = 0; to < nodes; ++to)
    cache.keep(graph.version(), 17, to, finder.find(graph, 17, to));
  std::vector<double> cached;
  for (int run = 0; run < 3; ++run)
    cached.push_back(rate_of(seconds, 1024,
                             [&](std::size_t i) {
                               if (const auto* known = cache.find(graph.version(), 17, at(i).to))
                                 sum += known->cost_us;
                             }) /
                     1e6);
  out.add({.name = "cached, of one node to all others",
           .unit = "M/s",
           .runs = cached,
           .bar = nodes == 1000 ? 20.0 : 0.0});
  if (std::isnan(sum)) out.note("a cost was no number");
}

void mesh(report& out, std::size_t nodes) {
  out.section(fmt::format("routes, full mesh of {} nodes: best single relay", nodes));
  if (!out.wanted_section()) return;
  fast_random random{9};
  std::vector<float> away(nodes), back(nodes);
  for (auto* costs : {&away, &back})
    for (auto& c : *costs)
      c = random.below(50) ? static_cast<float>(50 * std::exp(4.6 * random.unit())) : no_route_cost;
  double sum = 0;
  const auto pairs = some_pairs(nodes, 1 << 15);
  std::vector<double> rates;
  for (int run = 0; run < 3; ++run)
    rates.push_back(rate_of(out.quick() ? 0.2 : 1, 64,
                            [&](std::size_t i) {
                              const auto p = pairs[i & (pairs.size() - 1)];
                              if (p.from != p.to)
                                sum += best_relay(away, back, p.from, p.to).relay_count;
                            }) /
                    1e3);
  out.add({.name = "uncached", .unit = "k/s", .runs = rates});
  if (sum < 0) out.note("no relay at all");
}

/// A partial partition: links break one by one; who still reaches whom?
void partition(report& out) {
  out.section(
      "routes, full mesh of 100 nodes, a third of the links broken: pairs that are reached");
  if (!out.wanted_section()) return;
  constexpr std::size_t nodes = 100;
  fast_random random{21};
  std::vector<route_graph::edge> edges;
  for (std::size_t a = 0; a < nodes; ++a)
    for (std::size_t b = 0; b < nodes; ++b)
      if (a != b && random.below(3) > 0)
        edges.push_back({static_cast<node_index>(a), static_cast<node_index>(b),
                         static_cast<float>(50 + random.below(1000))});
  const route_graph graph{1, nodes, edges};
  route_finder finder;
  std::size_t direct = 0, reached = 0;
  for (node_index a = 0; a < nodes; ++a) {
    direct += graph.out(a).size();
    for (node_index b = 0; b < nodes; ++b) reached += a != b && finder.find(graph, a, b).exists();
  }
  const double all = nodes * (nodes - 1);
  out.add({.name = "availability",
           .unit = "%",
           .runs = {100 * static_cast<double>(reached) / all},
           .peer_runs = {100 * static_cast<double>(direct) / all},
           .peer = "direct"});
}

void run(report& out, const part_options&) {
  out.begin("routes: wormholes between nodes", 120);
  sparse(out, 1'000);
  sparse(out, 10'000);
  mesh(out, 1'000);
  mesh(out, 10'000);
  partition(out);
}

} // namespace

const part routes_part{"routes", "routes a second, beside Dijkstra", run};

} // namespace warp::bench::physics
