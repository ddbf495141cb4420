#include "tests/support/history_file.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <optional>
#include <random>
#include <sstream>
#include <string>
#include <vector>

using namespace warp;
using namespace warp::testing;
using Catch::Matchers::ContainsSubstring;
using call = register_call;
using outcome = register_outcome;

// Histories as clients of a cluster record them: nobody tells versions, answers get lost.

namespace {

/// One register and its clients. Each call takes effect at a moment between its beginning and its
/// end, or, where no answer comes, any time later or never.
class model_register {
public:
  explicit model_register(std::uint64_t seed) : random_(seed) {}

  std::vector<register_event> run(unsigned clients, unsigned calls, unsigned lost_in_1000) {
    open_.assign(clients, {});
    while (events_.size() < calls || std::ranges::any_of(open_, &slot::busy)) {
      ++now_;
      if (!late_.empty() && random_() % 8 == 0) take_effect(late_, random_() % late_.size());
      auto& mine = open_[random_() % clients];
      const auto number = static_cast<unsigned>(&mine - open_.data());
      if (!mine.busy) {
        if (events_.size() >= calls) continue;
        mine = {.busy = true, .event = events_.size()};
        events_.push_back(draw(number));
      } else if (!mine.done) {
        if (random_() % 1000 < lost_in_1000) {
          if (random_() % 2 == 0) late_.push_back(mine.event);
          mine = {}; // the outcome stays unknown
          continue;
        }
        effect(events_[mine.event]);
        mine.done = true;
      } else {
        events_[mine.event].ended = now_;
        mine = {};
      }
    }
    return events_;
  }

private:
  struct slot {
    bool busy = false, done = false;
    std::size_t event = 0;
  };

  register_event draw(unsigned client) {
    register_event e;
    e.client = client;
    e.began = now_;
    e.value = std::to_string(events_.size() * 100'000); // no sum of increments is another value
    const auto kind = random_() % 20;
    e.call = kind < 8    ? call::get
             : kind < 12 ? call::put
             : kind < 14 ? call::erase
             : kind < 17 ? call::replace
                         : call::increment;
    e.delta = static_cast<std::int64_t>(1 + random_() % 2);
    if (e.call == call::replace)
      e.old = value_ && random_() % 3 != 0 ? *value_ : "never there " + e.value;
    if (e.call == call::get || e.call == call::erase || e.call == call::increment) e.value.clear();
    return e;
  }
  void effect(register_event& e) {
    e.outcome = outcome::ok;
    switch (e.call) {
    case call::get:
      if (value_)
        e.value = *value_;
      else
        e.outcome = outcome::not_found;
      break;
    case call::put:
      value_ = e.value;
      break;
    case call::erase:
      if (!value_) e.outcome = outcome::not_found;
      value_.reset();
      break;
    case call::replace:
      if (value_ == e.old)
        value_ = e.value;
      else
        e.outcome = outcome::not_equal;
      break;
    default:
      e.number = (value_ ? std::stoll(*value_) : 0) + e.delta;
      value_ = std::to_string(e.number);
    }
  }
  void take_effect(std::vector<std::size_t>& late, std::size_t which) {
    auto unseen = events_[late[which]];
    effect(unseen);
    late.erase(late.begin() + static_cast<std::ptrdiff_t>(which));
  }

  std::mt19937_64 random_;
  std::vector<slot> open_;
  std::vector<register_event> events_;
  std::vector<std::size_t> late_; ///< sent, not answered, not done yet
  std::optional<std::string> value_;
  std::uint64_t now_ = 0;
};

/// Calls one after the other, so that each answer is the only right one.
register_event& answered(std::vector<register_event>& events, call what, std::size_t from) {
  const auto found = std::find_if(
      events.begin() + static_cast<std::ptrdiff_t>(from), events.end(),
      [&](const register_event& e) { return e.call == what && e.outcome == outcome::ok; });
  REQUIRE(found != events.end());
  return *found;
}

linearizability verdict_of(const std::vector<register_event>& events) {
  return check_linearizable(events).is;
}

} // namespace

TEST_CASE("what registers did is linearizable, whatever answers were lost",
          "[support][linearizability]") {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    const auto events = model_register{seed}.run(2 + seed % 7, 400, seed % 3 * 15);
    const auto verdict = check_linearizable(events);
    CAPTURE(seed, verdict.steps, verdict.window);
    REQUIRE(verdict.is == linearizability::yes);
  }
}

TEST_CASE("a stale read, a lost write and a doubled increment are found among thousands of calls",
          "[support][linearizability]") {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    CAPTURE(seed);
    const auto events = model_register{seed}.run(1, 3'000, 0);
    REQUIRE(verdict_of(events) == linearizability::yes);
    std::mt19937_64 random{seed};
    const auto from = 500 + random() % 2'000;

    auto stale = events;
    {
      // A read answers with what an earlier read has seen, two writes ago or more.
      const auto& before = answered(stale, call::get, from - 400);
      auto& read = answered(stale, call::get, from);
      REQUIRE(before.value != read.value);
      read.value = before.value;
    }
    CHECK(verdict_of(stale) == linearizability::no);

    auto lost = events;
    {
      // A write that nobody sees is answered right behind another one, which is read next.
      auto& read = answered(lost, call::get, from);
      const auto at = static_cast<std::size_t>(&read - lost.data());
      register_event vanished{.client = 9,
                              .call = call::put,
                              .value = "vanished",
                              .outcome = outcome::ok,
                              .began = read.began,
                              .ended = read.ended};
      for (auto i = at; i < lost.size(); ++i) {
        lost[i].began += 1'000'000;
        lost[i].ended += 1'000'000;
      }
      lost.push_back(vanished);
    }
    CHECK(verdict_of(lost) == linearizability::no);

    auto doubled = events;
    {
      auto& add = answered(doubled, call::increment, from);
      add.number += add.delta; // its retry was done, too
    }
    CHECK(verdict_of(doubled) == linearizability::no);
  }
}

TEST_CASE("a hundred thousand calls of one key are judged, eight at a time",
          "[support][linearizability]") {
  const auto events = model_register{7}.run(8, 100'000, 1);
  const auto verdict = check_linearizable(events);
  CAPTURE(verdict.window);
  CHECK(verdict.is == linearizability::yes);
  CHECK(verdict.steps < 10'000'000);
}

TEST_CASE("a history says the same when it was written and read again",
          "[support][linearizability]") {
  const auto events = model_register{3}.run(4, 2'000, 10);
  std::stringstream file;
  for (const auto& e : events) file << history_line("a \"key\"\n", e) << '\n';
  key_histories read;
  REQUIRE(read_history(file, "file", read).ok());
  REQUIRE(read.size() == 1);
  const auto& again = read.begin()->second;
  CHECK(read.begin()->first == "a \"key\"\n");
  REQUIRE(again.size() == events.size());
  for (std::size_t i = 0; i < events.size(); ++i)
    CHECK(to_string(again[i]) == to_string(events[i]));
  CHECK(complaint_about(read).empty());
}

TEST_CASE("what is no line of a history is named", "[support][linearizability]") {
  for (const auto* line :
       {"", "no JSON", "{}", R"({"client":1,"key":"k","call":"jump","began":1,"outcome":"ok"})",
        R"({"client":1,"key":"k","call":"get","began":5,"ended":4,"outcome":"absent"})",
        R"({"client":1,"key":"k","call":"get","began":5,"outcome":"absent"})"}) {
    CAPTURE(line);
    std::stringstream file;
    file << history_line("k", {.outcome = outcome::not_found, .began = 1, .ended = 2}) << '\n'
         << line << '\n';
    key_histories read;
    const auto status = read_history(file, "told.ndjson", read);
    CHECK_THAT(status.message(), ContainsSubstring("told.ndjson: line 2"));
  }
}

TEST_CASE("a complaint names the key and shows the calls", "[support][linearizability]") {
  key_histories histories;
  histories["fine"] = {{.outcome = outcome::not_found, .began = 1, .ended = 2}};
  histories["broken"] = {
      {.call = call::put, .value = "new", .outcome = outcome::ok, .began = 1, .ended = 2},
      {.call = call::get, .outcome = outcome::not_found, .began = 3, .ended = 4}};
  CHECK_THAT(complaint_about(histories), ContainsSubstring("'broken'"));
  CHECK_THAT(complaint_about(histories), ContainsSubstring("put \"new\""));
}
