#include "tests/crash/search.hpp"

#include "tests/support/crash_states.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <unordered_map>

namespace warp::testing {

namespace {

/// One state in so many is used and opened once more.
constexpr std::uint64_t thorough_every = 4;

/// The disk came up as the same before: were other promises made meanwhile?
void check_again(const recovery_outcome& outcome, const promises& promised) {
  require_durable(outcome.last, promised);
  for (std::size_t s = 0; s < outcome.next.size(); ++s)
    if (outcome.next[s] <= promised.handed_out[s])
      throw violation{fmt::format("shard {} hands out LSN {} again", s, outcome.next[s])};
}

} // namespace

std::string describe(const found_violation& f) {
  auto text =
      fmt::format("seed {} ({}), life {}, state {}: {}\n  {}", f.seed, to_string(f.kind), f.life,
                  f.states, f.what, f.state.empty() ? "without any loss of power" : f.state);
  return text + fmt::format("\n  again: tests/run crash --seed {}", f.seed);
}

void search_counts::add(const search_counts& more) {
  states += more.states;
  crashes += more.crashes;
  points += more.points;
  restarts += more.restarts;
  recoveries += more.recoveries;
}

crash_search::crash_search(std::uint64_t seed, limits l, omission left_out)
    : seed_(seed), limits_(l), workload_(seed), random_(seed * 0x9e3779b97f4a7c15u + 1) {
  workload_.options().left_out = left_out;
}

found_violation crash_search::found(std::string state, std::string what) const {
  return {seed_, workload_.kind(), life_, counts_.states, std::move(state), std::move(what)};
}

std::optional<found_violation> crash_search::run() {
  auto begin = workload_.first();
  for (; life_ <= limits_.lives && counts_.states < limits_.states; ++life_) {
    life l;
    try {
      l = workload_.run(begin);
    } catch (const violation& broken) {
      return found({}, broken.what());
    }
    l.marks.insert(l.marks.begin(), begin.promised);
    l.marks.front().history = 0;
    life_begin next;
    if (auto broken = look_at(l, next)) return broken;
    next.number = l.number;
    begin = std::move(next);
    workload_.options() = l.options;
  }
  return {};
}

std::optional<found_violation> crash_search::look_at(const life& l, life_begin& next) {
  const auto points = static_cast<std::uint64_t>(
      std::count_if(l.trace.events.begin(), l.trace.events.end(),
                    [](const disk_event& e) { return e.what != disk_event::kind::mark; }));
  // A state with large values takes ten times as long.
  const bool few = workload_.kind() == workload_kind::walks;
  const auto per_point =
      few ? 1 : std::max<std::uint64_t>(6, limits_.states_per_life / (points + 1));
  std::unordered_map<std::uint64_t, recovery_outcome> known;
  crash_states states{l.trace};
  while (states.next_point() && counts_.states < limits_.states) {
    if (few && random_() % 3 != 0) continue;
    ++counts_.points;
    const auto& promised = l.marks[states.mark()];
    const auto& with = l.histories[promised.history];
    std::uint64_t looked_at = 0;
    for (const auto& choice : states.choices(random_)) {
      auto disk = states.disk(choice);
      const auto key = disk.hash() + promised.history;
      try {
        if (const auto it = known.find(key); it != known.end()) {
          check_again(it->second, promised);
          continue;
        }
        ++counts_.states;
        ++counts_.crashes;
        if (life_ > 1 && states.mark() == 0) ++counts_.recoveries;
        const bool thorough = counts_.states % thorough_every == 0;
        if (thorough) ++counts_.restarts;
        const auto outcome =
            check_disk(l.options, disk, with, promised, thorough, random_() % 2 == 0);
        known.emplace(key, outcome);
        if (!promised.backups.empty() && random_() % 4 == 0)
          check_backups(l.options, disk, with, promised);
        // One of all that were looked at, each as likely as any other.
        if (random_() % known.size() == 0) {
          next.disk = std::move(disk);
          next.holds = with;
          next.holds.cut(outcome.last);
          next.promised = promised;
        }
      } catch (const violation& broken) {
        return found(states.describe(choice), broken.what());
      }
      if (++looked_at == per_point) break;
    }
  }
  return {};
}

} // namespace warp::testing
