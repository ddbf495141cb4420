#include "tests/support/linearizability.hpp"

#include "storage/number.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>
#include <optional>
#include <random>
#include <unordered_set>

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
  /// Learns that the record is there and has this version.
  bool has(lsn_t at) {
    if (known && !present) return false;
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

/// What was done, as a number that does not depend on the order, and the state it has led to.
struct configuration {
  std::uint64_t done[2];
  register_state state;
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
      const auto at = calls_.size();
      calls_.push_back({&e, {random(), random()}, 0, 0});
      moments_.push_back({e.began, at, true});
      if (e.outcome == register_outcome::unknown) continue;
      moments_.push_back({e.ended, at, false});
      ++answers_;
    }
    std::ranges::sort(moments_, {}, &moment::when);
    // A list through the moments: one before the first, one behind the last.
    next_.resize(moments_.size() + 1);
    previous_.resize(moments_.size() + 2);
    for (std::size_t i = 0; i <= moments_.size(); ++i) {
      next_[i] = i + 1;
      previous_[i + 1] = i;
    }
    for (std::size_t i = 0; i < moments_.size(); ++i)
      (moments_[i].begins ? calls_[moments_[i].call].begin : calls_[moments_[i].call].end) = i + 1;
  }

  linearizability run() {
    const auto behind = moments_.size() + 1;
    for (auto at = next_[0]; answers_ != 0;) {
      if (++steps_ > steps_max_) return linearizability::undecided;
      if (at != behind && moments_[at - 1].begins) {
        const auto which = moments_[at - 1].call;
        auto after = apply(*calls_[which].event, state_);
        if (after && remember(which, *after)) {
          stack_.push_back({which, std::move(state_)});
          state_ = std::move(*after);
          take_out(which);
          at = next_[0];
        } else {
          at = next_[at];
        }
        continue;
      }
      // A call has ended and found no place: the last choice was wrong.
      if (stack_.empty()) return linearizability::no;
      auto last = std::move(stack_.back());
      stack_.pop_back();
      state_ = std::move(last.state);
      put_back(last.call);
      at = next_[calls_[last.call].begin];
    }
    return linearizability::yes;
  }
  [[nodiscard]] std::uint64_t steps() const noexcept { return steps_; }

private:
  struct call {
    const register_event* event;
    std::uint64_t code[2];
    std::size_t begin, end; ///< places in the list; end 0: never answered
  };
  struct moment {
    std::uint64_t when;
    std::size_t call;
    bool begins;
  };
  struct choice {
    std::size_t call;
    register_state state;
  };

  bool remember(std::size_t which, const register_state& after) {
    const auto& code = calls_[which].code;
    return seen_.insert({{done_[0] ^ code[0], done_[1] ^ code[1]}, after}).second;
  }
  void flip(std::size_t which) {
    done_[0] ^= calls_[which].code[0];
    done_[1] ^= calls_[which].code[1];
  }
  void unlink(std::size_t at) {
    next_[previous_[at]] = next_[at];
    previous_[next_[at]] = previous_[at];
  }
  void link(std::size_t at) { next_[previous_[at]] = previous_[next_[at]] = at; }
  void take_out(std::size_t which) {
    flip(which);
    unlink(calls_[which].begin);
    if (calls_[which].end == 0) return;
    unlink(calls_[which].end);
    --answers_;
  }
  void put_back(std::size_t which) {
    flip(which);
    if (calls_[which].end != 0) {
      link(calls_[which].end);
      ++answers_;
    }
    link(calls_[which].begin);
  }

  std::uint64_t steps_max_, steps_ = 0;
  std::vector<call> calls_;
  std::vector<moment> moments_;
  std::vector<std::size_t> next_, previous_;
  std::size_t answers_ = 0; ///< that have no place yet
  std::uint64_t done_[2] = {0, 0};
  register_state state_;
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
    if (e.call != register_call::erase) text += fmt::format(", version {}", e.version);
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
