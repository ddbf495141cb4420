// Entanglement: which keys belong together. The next access among five predicted ones, by strengths
// and by a quantum walk on them, beside plain co-occurrence and personalised PageRank with the same
// memory; and reads from disk behind a small
// memory with and without prefetch.

#include "physics/coaccess_graph.hpp"
#include "physics/entanglement_index.hpp"
#include "physics/related_keys.hpp"
#include "tests/bench/physics/part.hpp"
#include "tests/bench/physics/prefetching_memory.hpp"
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
entanglement_options cooccurrence() {
  return {.keys_max = 65'536,
          .partners_max = 16,
          .reach_together = 1,
          .in_order = false,
          .decay = 1,
          .lift_min = 0};
}

key_list best_partners(const entanglement_index& index, std::uint64_t key) {
  key_list out;
  for (const auto& p : index.partners(key, guesses, 0)) out.push_back(p.key);
  return out;
}

/// What an index knows within two hops of a key, as a graph whose group 0 is the key: what
/// related_keys() walks on, for the baseline to walk on as well.
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

struct counted {
  std::size_t hits = 0, of = 0;
  void add(const key_list& guessed, std::uint64_t next) {
    ++of;
    hits += std::ranges::find(guessed, next) != guessed.end();
  }
  [[nodiscard]] double share() const {
    return static_cast<double>(hits) / static_cast<double>(std::max<std::size_t>(of, 1));
  }
};

void precision(report& out, const trace& t) {
  out.section(fmt::format("entanglement, {}: the next access is among five predicted", t.name));
  if (!out.wanted_section()) return;
  entanglement_index ordered{ours()}, beside{cooccurrence()};
  counted direct, together;                                              // of all predictions
  counted direct_walked, together_walked, walked, ranked, ranked_beside; // of one in 32
  key_list window;
  const std::size_t length = out.quick() ? t.accesses.size() / 10 : t.accesses.size();
  double walking = 0;
  for (std::size_t i = 0; i + 1 < length; ++i) {
    const std::uint64_t key = t.accesses[i], next = t.accesses[i + 1];
    if (i > length / 5 && i % 13 == 0 && key != next) {
      direct.add(best_partners(ordered, key), next);
      together.add(best_partners(beside, key), next);
      if (direct.of % 32 == 0) { // what looks further takes longer
        direct_walked.add(best_partners(ordered, key), next);
        together_walked.add(best_partners(beside, key), next);
        const double begin = process_usage::of_thread().cpu_seconds;
        key_list found;
        for (const auto& p : related_keys(ordered, key, guesses)) found.push_back(p.key);
        walking += process_usage::of_thread().cpu_seconds - begin;
        walked.add(found, next);
        const neighbourhood same{ordered, key}, other{beside, key};
        ranked.add(same.best(pagerank(same.graph)), next);
        ranked_beside.add(other.best(pagerank(other.graph)), next);
      }
    }
    window.push_back(key);
    if (window.size() == window_length) {
      const double now_s = static_cast<double>(i) / accesses_per_s;
      for (auto* index : {&ordered, &beside}) index->observe(window, now_s);
      window.clear();
    }
  }
  out.note(fmt::format("{} keys, {} predictions, {} of them over several hops, {:.0f} us each",
                       t.keys, direct.of, walked.of,
                       walking * 1e6 / static_cast<double>(std::max<std::size_t>(walked.of, 1))));
  out.add({.name = "strengths, beside co-occurrence of neighbours",
           .unit = "",
           .runs = {direct.share()},
           .peer_runs = {together.share()},
           .peer = "co-occurrence",
           .ratio_bar = 1.0});
  out.note(
      fmt::format("of those over several hops: quantum walk {:.4f}, strengths {:.4f}, PageRank on "
                  "strengths {:.4f}, co-occurrence {:.4f}, PageRank on co-occurrence {:.4f}",
                  walked.share(), direct_walked.share(), ranked.share(), together_walked.share(),
                  ranked_beside.share()));
  out.add({.name = "quantum walk, beside personalised PageRank",
           .unit = "",
           .runs = {walked.share()},
           .peer_runs = {std::max(ranked.share(), ranked_beside.share())},
           .peer = "PageRank",
           .ratio_bar = 1.0});
  out.add({.name = "quantum walk, beside strengths alone",
           .unit = "",
           .runs = {walked.share()},
           .peer_runs = {direct_walked.share()},
           .peer = "strengths",
           .ratio_bar = 1.0});
}

memory_counts read_through(const trace& t, std::size_t accesses, bool prefetch) {
  prefetching_memory memory{t.keys, {.share = 0.01, .unit_sizes = true, .prefetch = prefetch}};
  for (std::size_t i = 0; i < accesses; ++i) memory.access(t.accesses[i]);
  return memory.counts();
}

void prefetching(report& out, const trace& t) {
  out.section(fmt::format("entanglement, {}: reads behind a memory of 1 % of the keys", t.name));
  if (!out.wanted_section()) return;
  const std::size_t length = out.quick() ? t.accesses.size() / 10 : t.accesses.size();
  const auto capacity = std::max<std::size_t>(1, t.keys / 100);
  const auto without = read_through(t, length, false);
  const auto with = read_through(t, length, true);
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
