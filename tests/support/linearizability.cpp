#include "tests/support/linearizability.hpp"

#include "storage/number.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>
#include <map>
#include <optional>
#include <random>
#include <string_view>
#include <tuple>
#include <unordered_set>
#include <utility>

namespace warp::testing {

namespace {

/// A record with its version, as far as they are known: of a write whose answer was lost nobody
/// knows the version, only that it is above the one before.
struct register_state {
  bool known = true; ///< false: anything may be there
  bool present = false;
  bool exact = true; ///< `version` is the record's, else below it
  std::string value;
  lsn_t version = 0; ///< the highest that is known of

  friend bool operator==(const register_state&, const register_state&) = default;

  /// Writes; `at`: the version that the answer has, 0: not known.
  bool write(std::string text, lsn_t at) {
    if (at != 0 && at <= version) return false;
    known = present = true;
    value = std::move(text);
    exact = at != 0;
    if (exact) version = at;
    return true;
  }
  /// Learns that the record is there and has this version; 0: nobody told.
  bool has(lsn_t at) {
    if (known && !present) return false;
    if (at == 0) return true;
    if (known && exact ? at != version : at <= version) return false;
    exact = true;
    version = at;
    return true;
  }
  /// Learns that nothing is there.
  bool is_absent() {
    if (known && present) return false;
    known = true;
    present = false;
    return true;
  }
};

/// The state after the event has taken effect and was answered so; nothing where it cannot be.
std::optional<register_state> apply(const register_event& e, register_state state) {
  using outcome = register_outcome;
  const bool answered = e.outcome != outcome::unknown;
  const auto version = answered ? e.version : 0;
  switch (e.call) {
  case register_call::get:
    if (!answered) return state;
    if (e.outcome == outcome::not_found)
      return state.is_absent() ? std::optional{state} : std::nullopt;
    if (e.outcome != outcome::ok) return {};
    if (state.known && state.present && state.value != e.value) return {};
    if (!state.has(e.version)) return {};
    state.known = state.present = true;
    state.value = e.value;
    return state;
  case register_call::put:
    if (answered && e.outcome != outcome::ok) return {};
    return state.write(e.value, version) ? std::optional{state} : std::nullopt;
  case register_call::erase:
    if (e.outcome == outcome::not_found)
      return state.is_absent() ? std::optional{state} : std::nullopt;
    if (answered && e.outcome != outcome::ok) return {};
    if (state.known && !state.present) return {};
    state.known = true;
    state.present = false;
    state.exact = true;
    state.value.clear();
    return state;
  case register_call::compare_and_set:
    if (e.outcome == outcome::version_mismatch) {
      if (e.version == e.expected) return {};
      if (e.version == 0) return state.is_absent() ? std::optional{state} : std::nullopt;
      if (!state.known) return state; // what it met has a value that nobody has seen
      return state.has(e.version) ? std::optional{state} : std::nullopt;
    }
    if (answered && e.outcome != outcome::ok) return {};
    if (e.expected == 0 ? !state.is_absent() : !state.has(e.expected)) return {};
    return state.write(e.value, version) ? std::optional{state} : std::nullopt;
  case register_call::replace: {
    const bool could = !state.known || (state.present && state.value == e.old);
    if (e.outcome == outcome::not_equal)
      return state.known && could ? std::nullopt : std::optional{state};
    if (!could || (answered && e.outcome != outcome::ok)) return {};
    return state.write(e.value, version) ? std::optional{state} : std::nullopt;
  }
  case register_call::increment: {
    if (!state.known) { // the answer says what was there
      if (e.outcome != outcome::ok) return state;
      return state.write(std::to_string(e.number), version) ? std::optional{state} : std::nullopt;
    }
    const auto before =
        state.present ? storage::parse_number(state.value) : std::optional<std::int64_t>{0};
    if (e.outcome == outcome::wrong_type) return before ? std::nullopt : std::optional{state};
    if (!before || (answered && e.outcome != outcome::ok)) return {};
    const auto after = *before + e.delta;
    if (answered && after != e.number) return {};
    return state.write(std::to_string(after), version) ? std::optional{state} : std::nullopt;
  }
  }
  return {};
}

/// Writes without looking at what was there. An erase whose answer is known has seen that there was
/// something.
bool is_blind(const register_event& e) {
  return e.call == register_call::put ||
         (e.call == register_call::erase && e.outcome == register_outcome::unknown);
}

/// What was done, as a number that does not depend on the order, and the state it has led to.
struct configuration {
  std::uint64_t done[2];
  register_state state;
  bool unseen; ///< the last call has no answer, and nothing has seen yet what it did
  friend bool operator==(const configuration&, const configuration&) = default;
};
struct configuration_hash {
  std::size_t operator()(const configuration& c) const noexcept {
    return static_cast<std::size_t>(c.done[0] ^ c.state.version * 0x9e37'79b9'7f4a'7c15u ^
                                    std::hash<std::string>{}(c.state.value));
  }
};

class search {
public:
  search(const std::vector<register_event>& events, bool from_anything, std::uint64_t steps_max)
      : steps_max_(steps_max) {
    state_.known = !from_anything;
    std::mt19937_64 random{events.size()};
    for (const auto& e : events) {
      if (e.outcome == register_outcome::refused) continue;
      if (e.outcome == register_outcome::unknown && e.call == register_call::get) continue;
      const auto which = calls_.size();
      calls_.push_back({.event = &e, .code = {random(), random()}});
      if (e.outcome == register_outcome::unknown) {
        unanswered_.push_back(which);
        continue;
      }
      moments_.push_back({e.began, which, true});
      moments_.push_back({e.ended, which, false});
      ++answers_;
    }
    std::ranges::sort(moments_, {}, [](const moment& m) { return std::pair{m.when, !m.begins}; });
    // A list through the moments: one before the first, one behind the last.
    next_.resize(moments_.size() + 1);
    previous_.resize(moments_.size() + 2);
    for (std::size_t i = 0; i <= moments_.size(); ++i) {
      next_[i] = i + 1;
      previous_[i + 1] = i;
    }
    for (std::size_t i = 0; i < moments_.size(); ++i)
      (moments_[i].begins ? calls_[moments_[i].call].begin : calls_[moments_[i].call].end) = i + 1;
    std::ranges::sort(unanswered_, {}, [&](std::size_t c) { return calls_[c].event->began; });
    std::map<std::tuple<register_call, std::string_view, std::string_view, lsn_t, std::int64_t>,
             std::size_t>
        twins;
    for (std::size_t i = 0; i < unanswered_.size(); ++i) {
      const auto which = unanswered_[i];
      const auto& e = *calls_[which].event;
      calls_[which].begin = i;
      if (!is_blind(e)) unanswered_seers_.push_back(which);
      const auto [last, is_first] =
          twins.try_emplace({e.call, e.value, e.old, e.expected, e.delta}, which);
      if (!is_first) calls_[which].twin = std::exchange(last->second, which);
    }
  }

  linearizability run() {
    std::size_t at = next_[0];
    for (bool back = false; answers_ != 0;) {
      if (steps_ > steps_max_) return linearizability::undecided;
      const bool found = back ? false : take_answered(at);
      if (found || take_unanswered(back ? from_ : 0)) {
        at = next_[0];
        back = false;
        continue;
      }
      // A call has ended and found no place: the last choice was wrong.
      if (stack_.empty()) return linearizability::no;
      auto last = std::move(stack_.back());
      stack_.pop_back();
      state_ = std::move(last.state);
      unseen_ = last.unseen;
      put_back(last.call);
      back = is_unanswered(last.call);
      (back ? from_ : at) = back ? calls_[last.call].begin + 1 : next_[calls_[last.call].begin];
    }
    return linearizability::yes;
  }
  [[nodiscard]] std::uint64_t steps() const noexcept { return steps_; }

private:
  static constexpr std::size_t none = ~std::size_t{0};
  struct call {
    const register_event* event;
    std::uint64_t code[2];
    std::size_t begin = 0, end = 0; ///< places in the list; begin of an unanswered one: in that one
    std::size_t twin = none;        ///< unanswered: the one before it that does the same
    bool taken = false;
  };
  struct moment {
    std::uint64_t when;
    std::size_t call;
    bool begins;
  };
  struct choice {
    std::size_t call;
    register_state state; ///< before it
    bool unseen;
  };

  [[nodiscard]] bool is_unanswered(std::size_t which) const {
    return calls_[which].event->outcome == register_outcome::unknown;
  }
  /// The first of the answered calls that can come next, from a place in the list on.
  bool take_answered(std::size_t at) {
    for (; moments_[at - 1].begins; at = next_[at])
      if (take(moments_[at - 1].call)) return true;
    return false;
  }
  /// The first of those without an answer; they all have begun before the next end.
  bool take_unanswered(std::size_t from) {
    for (const auto end = next_end(); from < unanswered_.size(); ++from) {
      const auto which = unanswered_[from];
      const auto& c = calls_[which];
      if (c.event->began > end) break;
      // Of two that do the same the later one is never needed first.
      if (!c.taken && (c.twin == none || calls_[c.twin].taken) && take(which)) return true;
    }
    return false;
  }
  [[nodiscard]] std::uint64_t next_end() const {
    auto at = next_[0];
    while (moments_[at - 1].begins) at = next_[at];
    return moments_[at - 1].when;
  }
  /// Whether the next call may be this one: it leads from `state` to `after`, where a call without
  /// an answer has led there from `before`. One that only looks, and could as well have looked
  /// before, has not seen it.
  static bool sees(const register_event& event, const register_state& before,
                   const register_state& state, const register_state& after) {
    return !is_blind(event) && (!(after == state) || !apply(event, before));
  }
  /// Whether a call that could come next sees the difference.
  bool is_seen(const register_state& before, const register_state& state) {
    const auto sees_it = [&](std::size_t which) {
      ++steps_;
      const auto& event = *calls_[which].event;
      const auto after = apply(event, state);
      return after && sees(event, before, state, *after);
    };
    auto at = next_[0];
    for (; moments_[at - 1].begins; at = next_[at])
      if (sees_it(moments_[at - 1].call)) return true;
    const auto end = moments_[at - 1].when;
    return std::ranges::any_of(unanswered_seers_, [&](std::size_t which) {
      return !calls_[which].taken && calls_[which].event->began <= end && sees_it(which);
    });
  }

  /// The call comes next, where it can and that has not been tried. What a call without an answer
  /// did must be seen by the next one: else it may as well never have been done.
  bool take(std::size_t which) {
    ++steps_;
    const auto& event = *calls_[which].event;
    auto after = apply(event, state_);
    if (!after || (unseen_ && !sees(event, stack_.back().state, state_, *after))) return false;
    const bool unanswered = is_unanswered(which);
    if (unanswered && !is_seen(state_, *after)) return false;
    const auto& code = calls_[which].code;
    if (!seen_.insert({{done_[0] ^ code[0], done_[1] ^ code[1]}, *after, unanswered}).second)
      return false;
    stack_.push_back({which, std::move(state_), unseen_});
    state_ = std::move(*after);
    unseen_ = unanswered;
    take_out(which);
    return true;
  }
  void flip(std::size_t which) {
    done_[0] ^= calls_[which].code[0];
    done_[1] ^= calls_[which].code[1];
    calls_[which].taken = !calls_[which].taken;
  }
  void unlink(std::size_t at) {
    next_[previous_[at]] = next_[at];
    previous_[next_[at]] = previous_[at];
  }
  void link(std::size_t at) { next_[previous_[at]] = previous_[next_[at]] = at; }
  void take_out(std::size_t which) {
    flip(which);
    if (is_unanswered(which)) return;
    unlink(calls_[which].begin);
    unlink(calls_[which].end);
    --answers_;
  }
  void put_back(std::size_t which) {
    flip(which);
    if (is_unanswered(which)) return;
    link(calls_[which].end);
    link(calls_[which].begin);
    ++answers_;
  }

  std::uint64_t steps_max_, steps_ = 0;
  std::vector<call> calls_;
  std::vector<moment> moments_; ///< of the answered calls
  std::vector<std::size_t> next_, previous_;
  std::vector<std::size_t> unanswered_;       ///< in the order in which they began
  std::vector<std::size_t> unanswered_seers_; ///< those that are not blind
  std::size_t from_ = 0;                      ///< of those, where a search goes on
  std::size_t answers_ = 0;                   ///< that have no place yet
  std::uint64_t done_[2] = {0, 0};
  register_state state_;
  bool unseen_ = false; ///< the last call has no answer
  std::vector<choice> stack_;
  std::unordered_set<configuration, configuration_hash> seen_;
};

/// What was to be seen of it up to a moment.
std::vector<register_event> until(const std::vector<register_event>& events, std::uint64_t moment) {
  std::vector<register_event> some;
  for (const auto& e : events) {
    if (e.began > moment) continue;
    some.push_back(e);
    if (e.outcome != register_outcome::refused && e.ended > moment)
      some.back().outcome = register_outcome::unknown;
  }
  return some;
}

/// What was not over at a moment.
std::vector<register_event> since(const std::vector<register_event>& events, std::uint64_t moment) {
  std::vector<register_event> some;
  std::ranges::copy_if(events, std::back_inserter(some), [&](const register_event& e) {
    return e.outcome == register_outcome::unknown || e.ended >= moment;
  });
  return some;
}

/// Prefixes of what can be explained can be explained: so both ends of the window are found by
/// halving.
std::string window_of(const std::vector<register_event>& events, std::uint64_t steps_max) {
  const auto fails = [&](const std::vector<register_event>& some, bool from_anything) {
    return search{some, from_anything, steps_max}.run() == linearizability::no;
  };
  std::vector<std::uint64_t> ends;
  for (const auto& e : events)
    if (e.outcome != register_outcome::unknown) ends.push_back(e.ended);
  std::ranges::sort(ends);
  const auto last = std::ranges::partition_point(
      ends, [&](std::uint64_t end) { return !fails(until(events, end), false); });
  auto shown = last == ends.end() ? events : until(events, *last);
  const auto first = std::ranges::partition_point(
      ends.begin(), last, [&](std::uint64_t end) { return fails(since(shown, end), true); });
  const bool whole = first == ends.begin();
  if (!whole) shown = since(shown, *std::prev(first));
  std::ranges::sort(shown, {}, &register_event::began);
  std::string text = whole ? "the key was absent at first\n" : "";
  for (const auto& e : shown) text += to_string(e) + "\n";
  return text;
}

} // namespace

std::string to_string(const register_event& e) {
  using outcome = register_outcome;
  std::string text = fmt::format("client {}  [{}, {}]  ", e.client, e.began,
                                 e.outcome == outcome::unknown ? "..." : std::to_string(e.ended));
  switch (e.call) {
  case register_call::get:
    text += "get";
    break;
  case register_call::put:
    text += fmt::format("put \"{}\"", e.value);
    break;
  case register_call::erase:
    text += "erase";
    break;
  case register_call::compare_and_set:
    text += fmt::format("put \"{}\" if version {}", e.value, e.expected);
    break;
  case register_call::increment:
    text += fmt::format("increment by {}", e.delta);
    break;
  case register_call::replace:
    text += fmt::format("put \"{}\" if the value is \"{}\"", e.value, e.old);
    break;
  }
  text += " -> ";
  switch (e.outcome) {
  case outcome::ok:
    if (e.call == register_call::get)
      text += fmt::format("\"{}\"", e.value);
    else if (e.call == register_call::increment)
      text += std::to_string(e.number);
    else
      text += "ok";
    if (e.version != 0) text += fmt::format(", version {}", e.version);
    break;
  case outcome::not_found:
    text += "not found";
    break;
  case outcome::version_mismatch:
    text += fmt::format("met version {}", e.version);
    break;
  case outcome::wrong_type:
    text += "no number";
    break;
  case outcome::not_equal:
    text += "another value";
    break;
  case outcome::refused:
    text += "refused";
    break;
  case outcome::unknown:
    text += "no answer";
    break;
  }
  return text;
}

linearizability_verdict check_linearizable(const std::vector<register_event>& events,
                                           std::uint64_t steps_max) {
  search whole{events, false, steps_max};
  linearizability_verdict verdict;
  verdict.is = whole.run();
  verdict.steps = whole.steps();
  if (verdict.is == linearizability::no) verdict.window = window_of(events, steps_max);
  return verdict;
}

void recorded_history::take(client&& from) {
  for (auto& [key, list] : from.events_) {
    auto& all = events_[key];
    std::ranges::move(list, std::back_inserter(all));
  }
  from.events_.clear();
}

std::size_t recorded_history::size() const noexcept {
  std::size_t count = 0;
  for (const auto& [key, list] : events_) count += list.size();
  return count;
}

std::string recorded_history::complaint() const {
  for (const auto& [key, list] : events_) {
    const auto verdict = check_linearizable(list);
    if (verdict.is == linearizability::no)
      return fmt::format("no order explains what was answered about '{}':\n{}", key,
                         verdict.window);
    if (verdict.is == linearizability::undecided)
      return fmt::format("not decided for '{}' after {} steps", key, verdict.steps);
  }
  return {};
}

} // namespace warp::testing
