// Entanglement: which keys belong together. The next access among five predicted ones, beside plain
// co-occurrence and personalised PageRank with the same memory; and reads from disk behind a small
// memory with and without prefetch.

#include "physics/entanglement_index.hpp"
#include "physics/event_horizon.hpp"
#include "physics/prefetch_governor.hpp"
#include "physics/quantum_walk.hpp"
#include "tests/bench/physics/part.hpp"
#include "tests/bench/physics/trace.hpp"
#include "tests/bench/process_usage.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace warp::bench::physics {

namespace {

using namespace warp::physics;
using key_list = std::vector<std::uint64_t>;

constexpr double accesses_per_s = 1'000; ///< traces have no times
constexpr std::size_t window_length = 32;
constexpr std::size_t guesses = 5;

/// The same memory for all: as many keys, as many partners.
entanglement_options ours() {
  return {.keys_max = 65'536, .partners_max = 16};
}
/// Baseline: how often two keys stood side by side, in either order, from the beginning of time.
entanglement_options cooccurrence(std::size_t reach) {
  return {.keys_max = 65'536,
          .partners_max = 16,
          .reach_together = reach,
          .in_order = false,
          .decay = 1,
          .lift_min = 0};
}

key_list best_partners(const entanglement_index& index, std::uint64_t key) {
  key_list out;
  for (const auto& p : index.partners(key, guesses, 0)) out.push_back(p.key);
  return out;
}

/// What an index knows within two hops of a key, as a graph whose group 0 is the key.
struct neighbourhood {
  key_list keys;
  coaccess_graph graph;

  neighbourhood(const entanglement_index& index, std::uint64_t key) {
    std::unordered_map<std::uint64_t, std::uint32_t> number{{key, 0}};
    std::vector<coaccess_graph::pair> pairs;
    keys.push_back(key);
    std::size_t begin = 0;
    for (int hop = 0; hop < 2; ++hop) {
      const auto end = keys.size();
      for (; begin < end; ++begin)
        for (const auto& p : index.partners(keys[begin], 16, 0)) {
          const auto [at, fresh] =
              number.try_emplace(p.key, static_cast<std::uint32_t>(keys.size()));
          if (fresh) keys.push_back(p.key);
          pairs.push_back(
              {static_cast<std::uint32_t>(begin), at->second, static_cast<float>(p.strength)});
        }
    }
    graph = coaccess_graph{keys.size(), pairs};
  }

  [[nodiscard]] key_list best(const std::vector<double>& score) const {
    std::vector<std::uint32_t> order;
    for (std::uint32_t g = 1; g < score.size(); ++g) order.push_back(g);
    const auto count = std::min(guesses, order.size());
    std::ranges::partial_sort(order, order.begin() + static_cast<std::ptrdiff_t>(count),
                              [&](auto a, auto b) { return score[a] > score[b]; });
    key_list out;
    for (std::size_t i = 0; i < count; ++i) out.push_back(keys[order[i]]);
    return out;
  }
};

/// Baseline: personalised PageRank (restart 0.15, 20 rounds).
std::vector<double> pagerank(const coaccess_graph& graph) {
  std::vector<double> rank(graph.groups(), 0), next;
  rank[0] = 1;
  for (int round = 0; round < 20; ++round) {
    next.assign(graph.groups(), 0);
    next[0] = 0.15;
    for (std::uint32_t g = 0; g < graph.groups(); ++g) {
      const double degree = graph.weight_of(g);
      if (degree <= 0) {
        next[0] += 0.85 * rank[g];
        continue;
      }
      for (const auto& l : graph.of(g)) next[l.to] += 0.85 * rank[g] * l.weight / degree;
    }
    rank.swap(next);
  }
  return rank;
}

void precision(report& out, const trace& t) {
  out.section(fmt::format("entanglement, {}: the next access is among five predicted", t.name));
  if (!out.wanted_section()) return;
  entanglement_index ordered{ours()}, beside{cooccurrence(1)}, within{cooccurrence(window_length)};
  std::size_t judged = 0, walked = 0;
  struct counted {
    const char* name;
    std::size_t hits = 0;
  };
  counted by_order{"ours"}, by_beside{"beside"}, by_window{"window"};
  counted by_rank{"rank"}, by_walk{"walk"}, by_order_sampled{"ours"}, by_beside_sampled{"beside"};
  const auto hit = [](const key_list& guessed, std::uint64_t next) {
    return static_cast<std::size_t>(std::ranges::count(guessed, next));
  };
  key_list window;
  const std::size_t length = out.quick() ? t.accesses.size() / 10 : t.accesses.size();
  for (std::size_t i = 0; i + 1 < length; ++i) {
    const std::uint64_t key = t.accesses[i], next = t.accesses[i + 1];
    if (i > length / 5 && i % 13 == 0 && key != next) {
      ++judged;
      const auto a = hit(best_partners(ordered, key), next);
      const auto b = hit(best_partners(beside, key), next);
      by_order.hits += a;
      by_beside.hits += b;
      by_window.hits += hit(best_partners(within, key), next);
      if (i % (13 * 64) == 0) { // what looks further takes longer
        ++walked;
        by_order_sampled.hits += a;
        by_beside_sampled.hits += b;
        const neighbourhood near{beside, key};
        by_rank.hits += hit(near.best(pagerank(near.graph)), next);
        by_walk.hits += hit(near.best(quantum_relatedness(near.graph, 0, 1.0)), next);
      }
    }
    window.push_back(key);
    if (window.size() == window_length) {
      const double now_s = static_cast<double>(i) / accesses_per_s;
      for (auto* index : {&ordered, &beside, &within}) index->observe(window, now_s);
      window.clear();
    }
  }
  const auto share = [](const counted& c, std::size_t of) {
    return static_cast<double>(c.hits) / static_cast<double>(std::max<std::size_t>(of, 1));
  };
  out.note(fmt::format("{} keys, {} predictions; co-occurrence anywhere in windows of {}: {:.4f}",
                       t.keys, judged, window_length, share(by_window, judged)));
  out.add({.name = "ours, beside co-occurrence of neighbours",
           .unit = "",
           .runs = {share(by_order, judged)},
           .peer_runs = {share(by_beside, judged)},
           .peer = "co-occurrence",
           .ratio_bar = 1.0});
  out.note(fmt::format("of {} of them: ours {:.4f}, co-occurrence {:.4f}", walked,
                       share(by_order_sampled, walked), share(by_beside_sampled, walked)));
  out.add({.name = "ours, beside personalised PageRank",
           .unit = "",
           .runs = {share(by_order_sampled, walked)},
           .peer_runs = {share(by_rank, walked)},
           .peer = "PageRank",
           .ratio_bar = 1.0});
  out.add({.name = "quantum walk, beside personalised PageRank",
           .unit = "",
           .runs = {share(by_walk, walked)},
           .peer_runs = {share(by_rank, walked)},
           .peer = "PageRank"});
}

struct read_counts {
  std::size_t reads = 0, prefetched = 0, used = 0, wasted = 0;
};

/// A memory of `capacity` values behind which values lie in blocks of eight, side by side in the
/// order in which they first came; a value that was never read before has no neighbours yet. A
/// miss reads one block: the value that was missed comes in, and with `prefetch` those of its
/// block that are partners of it by what was learned until then, strong enough by what became of
/// those before them (prefetch_governor.hpp); they come in as newcomers.
read_counts read_through(const trace& t, std::size_t accesses, std::size_t capacity,
                         bool prefetch) {
  constexpr std::uint32_t block = 8;
  read_counts out;
  event_horizon horizon{capacity};
  entanglement_index index{{.keys_max = 65'536, .partners_max = 16, .reach = 8}};
  std::vector<resident_id> resident(t.keys, event_horizon::none);
  std::vector<ghost_stamp> stamp(t.keys, event_horizon::no_stamp);
  std::vector<std::uint8_t> unused(t.keys, 0); // prefetched and not used so far: 1 + its grade
  prefetch_governor governor;
  std::uint32_t known = 0; // keys are numbered as they come
  key_list window;
  const auto take_in = [&](std::uint32_t key, bool ghost) {
    resident[key] = horizon.admit(key, 1, ghost);
    for (const auto& gone : horizon.gone()) {
      resident[gone.owner] = event_horizon::none;
      stamp[gone.owner] = gone.stamp;
      if (unused[gone.owner]) {
        ++out.wasted;
        governor.outcome(unused[gone.owner] - 1, false);
      }
      unused[gone.owner] = 0;
    }
  };
  for (std::size_t i = 0; i < accesses; ++i) {
    const auto key = t.accesses[i];
    if (prefetch) {
      window.push_back(key);
      if (window.size() == window_length) {
        index.observe(window, static_cast<double>(i) / accesses_per_s);
        window.clear();
      }
    }
    if (resident[key] != event_horizon::none) {
      if (unused[key]) {
        ++out.used;
        governor.outcome(unused[key] - 1, true);
      }
      unused[key] = 0;
      horizon.hit(resident[key]);
      continue;
    }
    ++out.reads;
    const bool first_time = key >= known;
    known = std::max(known, key + 1);
    take_in(key, horizon.is_ghost(stamp[key]));
    if (!prefetch || first_time) continue;
    const std::uint32_t begin = key / block * block, end = std::min(begin + block, known);
    for (auto other = begin; other < end; ++other) {
      if (resident[other] != event_horizon::none) continue;
      const double strength = index.strength(key, other);
      if (strength <= 0) continue;
      const auto grade = prefetch_governor::of(strength);
      if (!governor.allows(grade)) continue;
      ++out.prefetched;
      unused[other] = grade + 1;
      take_in(other, false);
    }
  }
  return out;
}

void prefetching(report& out, const trace& t) {
  out.section(fmt::format("entanglement, {}: reads behind a memory of 1 % of the keys", t.name));
  if (!out.wanted_section()) return;
  const std::size_t length = out.quick() ? t.accesses.size() / 10 : t.accesses.size();
  const auto capacity = std::max<std::size_t>(1, t.keys / 100);
  const auto without = read_through(t, length, capacity, false);
  const auto with = read_through(t, length, capacity, true);
  const bool judged = t.name == "orm-busy";
  out.note(fmt::format("{} values in memory, {} prefetched", capacity, with.prefetched));
  out.add({.name = "reads, beside the same policy without prefetch",
           .unit = "k",
           .runs = {static_cast<double>(with.reads) / 1e3},
           .at_most = true,
           .peer_runs = {static_cast<double>(without.reads) / 1e3},
           .peer = "without",
           .ratio_bar = judged ? 0.7 : 0});
  out.add({.name = "wasted prefetches",
           .unit = "%",
           .runs = {100.0 * static_cast<double>(with.wasted) /
                    static_cast<double>(std::max<std::size_t>(with.prefetched, 1))},
           .bar = 30,
           .at_most = true});
}

void cost(report& out, const trace& t) {
  out.section("entanglement, what it costs to learn");
  if (!out.wanted_section()) return;
  entanglement_index index{ours()};
  const std::size_t length = std::min<std::size_t>(t.accesses.size(), 1'000'000);
  const double begin = process_usage::of_thread().cpu_seconds;
  key_list window;
  for (std::size_t i = 0; i < length; ++i) {
    window.push_back(t.accesses[i]);
    if (window.size() < window_length) continue;
    index.observe(window, static_cast<double>(i) / accesses_per_s);
    window.clear();
  }
  out.add({.name = "an access of a sampled window",
           .unit = "ns CPU",
           .runs = {(process_usage::of_thread().cpu_seconds - begin) * 1e9 /
                    static_cast<double>(length)}});
}

void run(report& out, const part_options& options) {
  out.begin("entanglement: which keys belong together", 300);
  auto files = options.traces;
  if (files.empty())
    for (const auto& file : shared_traces())
      if (const auto name = file.filename().string();
          name.starts_with("orm-busy") || name.starts_with("scarab-recs"))
        files.push_back(file);
  if (files.empty()) out.note("no traces: name them with --trace FILE");
  bool first = true;
  for (const auto& file : files) {
    std::string error;
    const auto t = read_trace(file, error);
    if (!t) {
      out.note(error);
      continue;
    }
    precision(out, *t);
    prefetching(out, *t);
    if (first) cost(out, *t);
    first = false;
  }
}

} // namespace

const part entanglement_part{"entanglement", "which keys belong together: next access, prefetch",
                             run};

} // namespace warp::bench::physics
