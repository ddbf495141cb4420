#include "tests/support/linearizability.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <random>
#include <string>
#include <vector>

using namespace warp;
using namespace warp::testing;
using Catch::Matchers::ContainsSubstring;
using call = register_call;
using outcome = register_outcome;

// The checker itself, on histories whose verdict is known.

namespace {

using history = std::vector<register_event>;

register_event at(std::uint64_t began, std::uint64_t ended, register_event e) {
  e.began = began;
  e.ended = ended;
  return e;
}
register_event put(std::string value, lsn_t version) {
  return {.call = call::put, .value = std::move(value), .outcome = outcome::ok, .version = version};
}
register_event lost_put(std::string value) {
  return {.call = call::put, .value = std::move(value), .outcome = outcome::unknown};
}
register_event get(std::string value, lsn_t version) {
  return {.call = call::get, .value = std::move(value), .outcome = outcome::ok, .version = version};
}
register_event absent() {
  return {.call = call::get, .outcome = outcome::not_found};
}
register_event cas(lsn_t expected, std::string value, lsn_t version) {
  return {.call = call::compare_and_set,
          .value = std::move(value),
          .expected = expected,
          .outcome = outcome::ok,
          .version = version};
}
register_event mismatch(lsn_t expected, lsn_t met) {
  return {.call = call::compare_and_set,
          .value = "never",
          .expected = expected,
          .outcome = outcome::version_mismatch,
          .version = met};
}
register_event add(std::int64_t delta, std::int64_t result, lsn_t version) {
  return {.call = call::increment,
          .delta = delta,
          .outcome = outcome::ok,
          .version = version,
          .number = result};
}
register_event lost_add(std::int64_t delta) {
  return {.call = call::increment, .delta = delta, .outcome = outcome::unknown};
}
register_event erase(outcome how = outcome::ok) {
  return {.call = call::erase, .outcome = how};
}

bool linearizable(const history& events) {
  const auto verdict = check_linearizable(events);
  CAPTURE(verdict.window);
  REQUIRE(verdict.is != linearizability::undecided);
  CHECK(verdict.window.empty() == (verdict.is == linearizability::yes));
  return verdict.is == linearizability::yes;
}

} // namespace

TEST_CASE("calls one after the other are linearizable as they are", "[support][linearizability]") {
  CHECK(linearizable({}));
  CHECK(linearizable({at(1, 2, absent()), at(3, 4, put("a", 5)), at(5, 6, get("a", 5)),
                      at(7, 8, cas(5, "b", 9)), at(9, 10, mismatch(5, 9)), at(11, 12, erase()),
                      at(13, 14, erase(outcome::not_found)), at(15, 16, cas(0, "7", 20)),
                      at(17, 18, add(-9, -2, 21)), at(19, 20, get("-2", 21))}));
}

TEST_CASE("calls that overlap may be done in either order", "[support][linearizability]") {
  CHECK(linearizable({at(1, 6, put("a", 1)), at(2, 3, absent()), at(4, 5, get("a", 1))}));
  CHECK(linearizable({at(1, 6, put("a", 2)), at(2, 7, put("b", 1)), at(8, 9, get("a", 2))}));
  CHECK_FALSE(linearizable({at(1, 6, put("a", 2)), at(2, 7, put("b", 1)), at(8, 9, get("b", 1))}));
}

TEST_CASE("a stale read is found", "[support][linearizability]") {
  const history events{at(1, 2, put("a", 1)), at(3, 4, put("b", 2)), at(5, 6, get("a", 1))};
  CHECK_FALSE(linearizable(events));
  // Also of a value that was never there in between, and while another write is under way.
  CHECK_FALSE(linearizable({at(1, 2, put("a", 1)), at(3, 8, put("b", 2)), at(4, 5, get("b", 2)),
                            at(6, 7, get("a", 1))}));
  CHECK_FALSE(linearizable({at(1, 2, put("a", 1)), at(3, 4, absent())}));
}

TEST_CASE("a lost update is found", "[support][linearizability]") {
  CHECK_FALSE(
      linearizable({at(1, 2, put("0", 1)), at(3, 6, add(1, 1, 2)), at(4, 7, add(1, 1, 3))}));
  CHECK_FALSE(
      linearizable({at(1, 2, put("0", 1)), at(3, 6, cas(1, "x", 2)), at(4, 7, cas(1, "y", 3))}));
  CHECK_FALSE(linearizable({at(1, 2, put("a", 1)), at(3, 4, get("a", 2))}));
}

TEST_CASE("the second effect of a retry is found", "[support][linearizability]") {
  CHECK_FALSE(linearizable({at(1, 4, add(1, 1, 1)), at(5, 6, get("2", 2))}));
  // Nobody else has written: once is right, twice is not.
  CHECK(linearizable({at(1, 0, lost_add(1)), at(5, 6, get("1", 2))}));
  CHECK_FALSE(linearizable({at(1, 0, lost_add(1)), at(5, 6, get("2", 2))}));
  CHECK_FALSE(linearizable({at(1, 0, lost_put("a")), at(3, 4, put("b", 7)), at(5, 6, get("a", 9)),
                            at(7, 8, put("c", 10)), at(9, 10, get("a", 11))}));
}

TEST_CASE("a write that was refused must not be read", "[support][linearizability]") {
  auto refused = put("b", 0);
  refused.outcome = outcome::refused;
  CHECK(linearizable({at(1, 2, put("a", 1)), at(3, 4, refused), at(5, 6, get("a", 1))}));
  CHECK_FALSE(linearizable({at(1, 2, put("a", 1)), at(3, 6, refused), at(4, 5, get("b", 2))}));
}

TEST_CASE("a write without an answer may be done much later, or never, but once",
          "[support][linearizability]") {
  CHECK(linearizable({at(1, 0, lost_put("a")), at(3, 4, absent()), at(5, 6, put("b", 5)),
                      at(7, 8, get("a", 6)), at(9, 10, mismatch(5, 6))}));
  CHECK(linearizable({at(1, 0, lost_put("a")), at(3, 4, put("b", 5)), at(5, 6, get("b", 5))}));
  CHECK_FALSE(linearizable({at(1, 0, lost_put("a")), at(3, 4, get("a", 6)), at(5, 6, put("b", 7)),
                            at(7, 8, get("a", 8))}));
  // It is not done before it began.
  CHECK_FALSE(linearizable({at(1, 2, get("a", 6)), at(3, 0, lost_put("a"))}));
}

TEST_CASE("versions only grow, also over an erase", "[support][linearizability]") {
  CHECK_FALSE(linearizable({at(1, 2, put("a", 9)), at(3, 4, put("b", 8))}));
  CHECK_FALSE(linearizable({at(1, 2, put("a", 9)), at(3, 4, erase()), at(5, 6, put("b", 9))}));
  CHECK_FALSE(linearizable({at(1, 2, put("a", 9)), at(3, 4, mismatch(1, 8))}));
}

TEST_CASE("the window shows the events that contradict each other and little else",
          "[support][linearizability]") {
  history events;
  std::uint64_t moment = 0;
  lsn_t version = 0;
  for (int i = 0; i < 500; ++i) {
    events.push_back(at(moment + 1, moment + 2, put("v" + std::to_string(i), ++version)));
    events.push_back(at(moment + 3, moment + 4, get("v" + std::to_string(i), version)));
    moment += 4;
    if (i == 300) {
      events.push_back(at(moment + 1, moment + 2, get("v299", version - 1)));
      moment += 2;
    }
  }
  const auto verdict = check_linearizable(events);
  REQUIRE(verdict.is == linearizability::no);
  CAPTURE(verdict.window);
  CHECK_THAT(verdict.window, ContainsSubstring("get -> \"v299\", version 300"));
  CHECK_THAT(verdict.window, ContainsSubstring("\"v300\", version 301"));
  CHECK(std::ranges::count(verdict.window, '\n') <= 3);
}

TEST_CASE("what a register really did is linearizable, and one changed answer is not",
          "[support][linearizability]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random{seed};
  for (int round = 0; round < 40; ++round) {
    // Each call takes effect at a moment in the middle of it.
    history events;
    constexpr int clients = 4, calls = 12;
    std::uint64_t moment = 0;
    std::vector<std::size_t> open(clients, ~0ul);
    std::string value;
    bool present = false;
    lsn_t version = 0, last = 0;
    int made = 0;
    std::vector<int> stage(clients, 0); // 0 idle, 1 begun, 2 done
    while (made < clients * calls) {
      const auto c = static_cast<unsigned>(random() % clients);
      if (stage[c] == 0) {
        register_event e;
        e.client = c;
        e.began = ++moment;
        e.call = random() % 2 ? call::get : call::put;
        if (e.call == call::put) e.value = std::to_string(made);
        events.push_back(e);
        open[c] = events.size() - 1;
        stage[c] = 1;
        ++made;
      } else if (stage[c] == 1) {
        auto& e = events[open[c]];
        if (e.call == call::put) {
          present = true;
          value = e.value;
          version = last += 1 + random() % 3;
          e.outcome = outcome::ok;
        } else {
          e.outcome = present ? outcome::ok : outcome::not_found;
          e.value = value;
        }
        e.version = version;
        stage[c] = 2;
      } else {
        auto& e = events[open[c]];
        e.ended = ++moment;
        if (e.call == call::put && random() % 20 == 0) e.outcome = outcome::unknown;
        stage[c] = 0;
      }
    }
    for (auto& e : events)
      if (e.ended == 0) e.outcome = outcome::unknown;
    REQUIRE(linearizable(events));
    auto changed = events;
    // Not of a write whose version nobody was told: it may have had any.
    const auto is_told = [&](const std::string& value) {
      return std::ranges::any_of(events, [&](const register_event& e) {
        return e.call == call::put && e.outcome == outcome::ok && e.value == value;
      });
    };
    std::vector<std::size_t> reads;
    for (std::size_t i = 0; i < changed.size(); ++i)
      if (changed[i].call == call::get && changed[i].outcome == outcome::ok &&
          is_told(changed[i].value))
        reads.push_back(i);
    if (reads.empty()) continue;
    changed[reads[random() % reads.size()]].version += 1'000'000;
    CHECK_FALSE(linearizable(changed));
  }
}

TEST_CASE("a history that would take too long is not decided", "[support][linearizability]") {
  // Twenty lost increments, each sum of which is another one, and a read of none of them.
  history events;
  for (int i = 0; i < 20; ++i)
    events.push_back(at(1 + static_cast<std::uint64_t>(i), 0, lost_add(std::int64_t{1} << i)));
  events.push_back(at(50, 60, get("none of them", 0)));
  CHECK(check_linearizable(events, 10'000).is == linearizability::undecided);
}

TEST_CASE("hundreds of writes without an answer are no burden while little sees what they did",
          "[support][linearizability]") {
  history events;
  std::uint64_t moment = 0;
  for (int i = 0; i < 400; ++i) {
    events.push_back(at(++moment, 0, lost_put("lost" + std::to_string(i))));
    for (int n = 0; n < 5; ++n) {
      const auto mine = std::to_string(i) + "/" + std::to_string(n);
      events.push_back(at(moment + 1, moment + 2, put(mine, 0)));
      events.push_back(at(moment + 3, moment + 4, get(mine, 0)));
      moment += 4;
    }
    if (i % 7 == 0) {
      events.push_back(at(moment + 1, moment + 2, get("lost" + std::to_string(i), 0)));
      moment += 2;
    }
  }
  CHECK(linearizable(events));
  events.push_back(at(moment + 1, moment + 2, get("lost7", 0)));
  CHECK_FALSE(linearizable(events));
}

TEST_CASE("a replacement that was done or not says what was there", "[support][linearizability]") {
  const auto replace = [](std::string old, std::string value, outcome how = outcome::ok) {
    return register_event{
        .call = call::replace, .value = std::move(value), .old = std::move(old), .outcome = how};
  };
  CHECK(linearizable({at(1, 2, put("a", 0)), at(3, 4, replace("a", "b")), at(5, 6, get("b", 0)),
                      at(7, 8, replace("a", "c", outcome::not_equal)), at(9, 10, get("b", 0))}));
  CHECK_FALSE(linearizable({at(1, 2, replace("a", "b"))}));
  CHECK(linearizable({at(1, 2, replace("a", "b", outcome::not_equal))}));
  CHECK_FALSE(
      linearizable({at(1, 2, put("a", 0)), at(3, 4, replace("a", "b", outcome::not_equal))}));
  // Two cannot both have found the same value, and one whose answer was lost may have.
  CHECK_FALSE(linearizable(
      {at(1, 2, put("a", 0)), at(3, 6, replace("a", "b")), at(4, 7, replace("a", "c"))}));
  CHECK(linearizable({at(1, 2, put("a", 0)), at(3, 0, replace("a", "b", outcome::unknown)),
                      at(4, 7, replace("b", "c"))}));
  CHECK_FALSE(linearizable({at(1, 2, put("a", 0)), at(3, 0, replace("x", "b", outcome::unknown)),
                            at(4, 7, replace("b", "c"))}));
}
