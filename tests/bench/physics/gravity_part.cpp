// Gravity: where groups live. Two applications with known entities, their co-access learned from
// one stream of requests and judged on another; hashing and METIS on the same graph beside it.

#include "physics/assign.hpp"
#include "physics/entropy.hpp"
#include "tests/bench/physics/metis_partition.hpp"
#include "tests/bench/physics/part.hpp"
#include "tests/bench/physics/request_model.hpp"
#include "tests/bench/process_usage.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <numeric>
#include <span>
#include <string>
#include <vector>

namespace warp::bench::physics {

namespace {

using namespace warp::physics;

struct learned {
  coaccess_graph graph;
  std::vector<double> loads; ///< accesses of each group
};

/// A request of n keys binds each pair with 1 / (n - 1): a key's links then sum up to its accesses.
void bind(const request& r, std::vector<coaccess_graph::pair>& pairs, std::vector<double>& loads) {
  for (std::size_t a = 0; a < r.size(); ++a) {
    loads[r[a]] += 1;
    for (std::size_t b = a + 1; b < r.size(); ++b)
      pairs.push_back({r[a], r[b], 1.0f / static_cast<float>(r.size() - 1)});
  }
}

learned learn(request_model& model, std::size_t requests, double hour) {
  std::vector<coaccess_graph::pair> pairs;
  learned out;
  out.loads.assign(model.groups(), 0);
  request r;
  for (std::size_t i = 0; i < requests; ++i) {
    model.next(hour, r);
    bind(r, pairs, out.loads);
  }
  out.graph = coaccess_graph{model.groups(), pairs};
  return out;
}

/// Share of the requests of several keys that have to go to more than one place.
double crossing_share(request_model& model, std::size_t requests, double hour,
                      std::span<const place_index> placement) {
  std::size_t several = 0, crossing = 0;
  request r;
  for (std::size_t i = 0; i < requests; ++i) {
    model.next(hour, r);
    if (r.size() < 2) continue;
    ++several;
    crossing += std::ranges::any_of(r, [&](auto k) { return placement[k] != placement[r[0]]; });
  }
  return static_cast<double>(crossing) / static_cast<double>(several);
}

double imbalance(std::span<const double> loads, std::span<const place_index> placement,
                 std::size_t places) {
  std::vector<place_load> of(places);
  for (std::size_t g = 0; g < loads.size(); ++g) of[placement[g]].load += loads[g];
  return max_over_mean(of);
}

std::vector<placement_site> sites_of(std::size_t places) {
  std::vector<placement_site> sites(places);
  for (std::size_t p = 0; p < places; ++p) sites[p].id = p + 1;
  return sites;
}

std::vector<placed_group> hashed_start(std::span<const double> loads, std::size_t places) {
  std::vector<placed_group> groups(loads.size());
  for (std::size_t g = 0; g < groups.size(); ++g)
    groups[g] = {g, loads[g], loads[g], static_cast<place_index>(fast_random{g + 1}() % places)};
  return groups;
}

std::vector<place_index> placement_of(std::span<const placed_group> groups) {
  std::vector<place_index> out;
  for (const auto& g : groups) out.push_back(g.place);
  return out;
}

void judge(report& out, const std::string& name, request_model& model, request_model& fresh,
           std::size_t places, std::size_t requests) {
  out.section(fmt::format("gravity, {}, {} places", name, places));
  if (!out.wanted_section()) return;
  const auto known = learn(model, requests, 0);
  auto groups = hashed_start(known.loads, places);
  const auto sites = sites_of(places);
  const auto hashed = placement_of(groups);
  const auto judged = requests / 4;

  std::vector<place_index> goal;
  double mass = 0, most_moved = 0, seconds = 0;
  for (const auto& g : groups) mass += g.mass;
  int rounds = 0;
  for (; rounds < 40; ++rounds) {
    const double begin = process_usage::of_thread().cpu_seconds;
    auto plan = assign(known.graph, groups, sites, goal, {});
    seconds = std::max(seconds, process_usage::of_thread().cpu_seconds - begin);
    goal = std::move(plan.goal);
    double moved = 0;
    for (const auto& m : plan.moves) {
      groups[m.group].place = m.to;
      moved += groups[m.group].mass;
    }
    most_moved = std::max(most_moved, moved / mass);
    if (plan.moves.empty()) break;
  }
  const auto ours = placement_of(groups);
  const double crossing = crossing_share(fresh, judged, 0, ours);
  const double crossing_hashed = crossing_share(fresh, judged, 0, hashed);
  out.note(
      fmt::format("{} groups, {} links, {} rounds, the largest moved {:.2f} % of the mass, the "
                  "longest took {:.2f} s CPU",
                  groups.size(), known.graph.links() / 2, rounds, 100 * most_moved, seconds));
  out.note(
      fmt::format("requests that cross places: hashing {:.4f}, ours {:.4f}; cut: hashing {:.0f}",
                  crossing_hashed, crossing, known.graph.cut(hashed)));
  out.add({.name = "fewer crossing requests than hashing",
           .unit = "x",
           .runs = {crossing_hashed / std::max(crossing, 1e-9)},
           .bar = 5});
  const double heaviest =
      *std::ranges::max_element(known.loads) / (mass / static_cast<double>(places));
  if (heaviest > 1.05)
    out.note(fmt::format("the heaviest group alone is {:.2f} of the mean place", heaviest));
  out.add({.name = "max/mean load",
           .unit = "",
           .runs = {imbalance(known.loads, ours, places)},
           .bar = 1.05,
           .at_most = true});
  if (const auto metis = metis_partition(known.graph, known.loads, places, 1.05)) {
    const double crossing_metis = crossing_share(fresh, judged, 0, *metis);
    out.note(fmt::format("METIS: {:.4f} of the requests cross, max/mean {:.3f}", crossing_metis,
                         imbalance(known.loads, *metis, places)));
    out.add({.name = "cut, beside METIS",
             .unit = "weight",
             .runs = {known.graph.cut(ours)},
             .at_most = true,
             .peer_runs = {known.graph.cut(*metis)},
             .peer = "METIS",
             .ratio_bar = 1.1});
  } else {
    out.note("METIS is not installed (deploy/setup --bench): its cut is left out");
  }
}

/// One round an hour while popularity drifts, crowds come and go and the load waves: what is known
/// is what the last three hours asked for, what is judged is the hour that follows.
void follow(report& out, const std::string& name, request_model& model, std::size_t places,
            std::size_t requests_an_hour) {
  out.section(fmt::format("gravity, {}, {} places, drifting, with crowds and waves", name, places));
  if (!out.wanted_section()) return;
  constexpr int hours = 36, judged_from = 24, memory = 3;
  const auto sites = sites_of(places);
  std::vector<std::vector<request>> heard;
  std::vector<placed_group> groups;
  std::vector<place_index> goal, hashed, metis;
  double several = 0, crossing = 0, crossing_hashed = 0, mass = 0, moved = 0, uneven = 0;
  double crossing_metis = 0;
  double uneven_hashed = 0;
  for (int hour = 0; hour < hours; ++hour) {
    auto& now = heard.emplace_back();
    const auto count =
        static_cast<std::size_t>(static_cast<double>(requests_an_hour) * model.rate(hour));
    now.resize(count);
    for (std::size_t i = 0; i < count; ++i)
      model.next(hour + static_cast<double>(i) / static_cast<double>(count), now[i]);
    if (hour >= judged_from) { // by where the groups were put before it began
      std::vector<double> loads(model.groups(), 0);
      std::vector<place_index> ours = placement_of(groups);
      for (const auto& r : now) {
        for (const auto k : r) loads[k] += 1;
        if (r.size() < 2) continue;
        const auto apart = [&](const std::vector<place_index>& where) {
          return std::ranges::any_of(r, [&](auto k) { return where[k] != where[r[0]]; });
        };
        several += 1;
        crossing += apart(ours);
        crossing_hashed += apart(hashed);
        if (!metis.empty()) crossing_metis += apart(metis);
      }
      uneven += imbalance(loads, ours, places) / (hours - judged_from);
      uneven_hashed += imbalance(loads, hashed, places) / (hours - judged_from);
    }
    std::vector<coaccess_graph::pair> pairs;
    std::vector<double> loads(model.groups(), 0);
    for (auto h = heard.size() - std::min<std::size_t>(heard.size(), memory); h < heard.size(); ++h)
      for (const auto& r : heard[h]) bind(r, pairs, loads);
    if (groups.empty()) {
      groups = hashed_start(loads, places);
      hashed = placement_of(groups);
    }
    for (std::size_t g = 0; g < groups.size(); ++g) groups[g].mass = groups[g].load = loads[g];
    const coaccess_graph graph{model.groups(), pairs};
    const auto plan = assign(graph, groups, sites, goal, {});
    goal = plan.goal;
    if (hour + 1 >= judged_from)
      metis = metis_partition(graph, loads, places, 1.05).value_or(std::vector<place_index>{});
    for (const auto& m : plan.moves) {
      groups[m.group].place = m.to;
      if (hour >= judged_from) moved += groups[m.group].mass;
    }
    if (hour >= judged_from)
      for (const auto& g : groups) mass += g.mass;
  }
  out.note(
      fmt::format("requests of the next hour that cross: hashing {:.4f}, ours {:.4f}; {:.2f} % of "
                  "the mass moves in an hour",
                  crossing_hashed / several, crossing / several, 100 * moved / mass));
  if (!metis.empty())
    out.note(fmt::format("METIS anew each hour on the same three hours, as if moving cost nothing: "
                         "{:.4f}, {:.1f}x fewer than hashing",
                         crossing_metis / several,
                         crossing_hashed / std::max(crossing_metis, 1.0)));
  out.add({.name = "fewer crossing requests than hashing",
           .unit = "x",
           .runs = {crossing_hashed / std::max(crossing, 1.0)},
           .bar = 5});
  out.add({.name = "max/mean load of the next hour",
           .unit = "",
           .runs = {uneven},
           .at_most = true,
           .peer_runs = {uneven_hashed},
           .peer = "hashing"});
}

/// How long one round of planning takes, from a hashed start: both ways, and the choice.
void scale(report& out, const learned& known, std::size_t places) {
  const std::string name = fmt::format("a round of planning, {} places", places);
  if (!out.wanted(name)) return;
  const auto groups = hashed_start(known.loads, places);
  const auto sites = sites_of(places);
  const double begin = process_usage::of_thread().cpu_seconds;
  const auto plan = assign(known.graph, groups, sites, {}, {});
  const double seconds = process_usage::of_thread().cpu_seconds - begin;
  out.note(fmt::format("{} places: cut {:.4f} of hashing's at max/mean {:.3f}, {} first moves",
                       places, plan.cut_at_goal / plan.cut_now,
                       imbalance(known.loads, plan.goal, places), plan.moves.size()));
  out.add({.name = name,
           .unit = "s CPU, one core",
           .runs = {seconds},
           .bar = places == 1000 && !out.quick() ? 10.0 : 0.0,
           .at_most = true});
}

void run(report& out, const part_options&) {
  out.begin("gravity: where groups live", 900);
  const std::size_t requests = out.quick() ? 100'000 : 2'000'000;
  for (const std::size_t places : {8, 64}) {
    model_options options{.entities = out.quick() ? 2'000u : 20'000u, .theta = 0.6};
    {
      shop_model model{options};
      judge(out, "shop", model, model, places, requests);
    }
    {
      social_model model{options};
      judge(out, "social", model, model, places, requests);
    }
  }
  const model_options moving{.entities = out.quick() ? 2'000u : 20'000u,
                             .theta = 0.6,
                             .drift_per_hour = 0.05,
                             .flash_share = 0.02,
                             .diurnal_swing = 0.5};
  const std::size_t an_hour = out.quick() ? 50'000 : 300'000;
  shop_model moving_shop{moving};
  follow(out, "shop", moving_shop, 16, an_hour);
  social_model moving_social{moving};
  follow(out, "social", moving_social, 16, an_hour);
  out.section(out.quick() ? "gravity, scale" : "gravity, scale: 1 M groups");
  if (!out.wanted_any({"a round of planning, 1000 places"})) return;
  shop_model model{{.entities = out.quick() ? 2'000u : 125'000u, .theta = 0.6}};
  const auto known = learn(model, out.quick() ? 100'000 : 6'000'000, 0);
  out.note(fmt::format("{} groups, {} links", known.loads.size(), known.graph.links() / 2));
  for (const std::size_t places : {10, 100, 1000, 10000}) scale(out, known, places);
}

} // namespace

const part gravity_part{"gravity", "where groups live: crossings beside hashing and METIS", run};

} // namespace warp::bench::physics
