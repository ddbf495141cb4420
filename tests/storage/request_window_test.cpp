#include "storage/request_window.hpp"

#include <catch2/catch_test_macros.hpp>

#include <deque>
#include <map>
#include <random>
#include <utility>

using namespace warp;
using namespace warp::storage;

namespace {

request_result result_at(lsn_t lsn) {
  return {lsn % 7 ? op_code::ok : op_code::not_found, lsn, lsn % 5 ? lsn : 0,
          -static_cast<std::int64_t>(lsn), lsn % 2 == 0};
}

/// The contract in the plainest way: everything is looked for by walking.
struct model_window {
  struct kept {
    std::uint64_t client, number, time_us;
    request_result result;
  };
  std::deque<kept> results;
  std::map<std::uint64_t, std::uint64_t> floors;
  lsn_t last_lsn = 0;
  std::uint64_t last_time_us = 0;

  request_answer lookup(const request_id& id) const {
    const auto floor = floors.find(id.client);
    if (floor == floors.end()) return {};
    if (id.number < floor->second) return {request_state::forgotten, {}};
    for (const auto& k : results)
      if (k.client == id.client && k.number == id.number) return {request_state::seen, k.result};
    return {};
  }

  void drop_oldest() {
    auto& floor = floors[results.front().client];
    floor = std::max(floor, results.front().number + 1);
    results.pop_front();
  }

  void remember(const request_id& id, const request_result& result, std::uint64_t time_us) {
    if (result.lsn <= last_lsn) return;
    last_lsn = result.lsn;
    last_time_us = std::max(last_time_us, time_us);
    while (!results.empty() && results.front().time_us + request_window::age_us_max < last_time_us)
      drop_oldest();
    auto& floor = floors[id.client];
    floor = std::max(floor, std::min(id.oldest_unanswered, id.number));
    if (lookup(id).state != request_state::fresh) return;
    results.push_back({id.client, id.number, last_time_us, result});
  }
};

bool same(const request_answer& a, const request_answer& b) {
  return a.state == b.state && a.result == b.result;
}

request_window copy_of(const request_window& window) {
  auto copy = request_window::decode(window.encode());
  REQUIRE(copy.ok());
  return std::move(*copy);
}

} // namespace

TEST_CASE("a request is fresh, then seen with its answer", "[storage][request_window]") {
  request_window window;
  const request_id id{7, 100, 100};
  CHECK(window.lookup(id).state == request_state::fresh);
  window.remember(id, {op_code::ok, 5, 5, 42, true}, 1'000);
  const auto answer = window.lookup(id);
  CHECK(answer.state == request_state::seen);
  CHECK(answer.result == request_result{op_code::ok, 5, 5, 42, true});
  CHECK(window.lookup({7, 101, 100}).state == request_state::fresh);
  CHECK(window.lookup({8, 100, 100}).state == request_state::fresh);
}

TEST_CASE("a window that nobody uses holds nothing", "[storage][request_window]") {
  request_window window;
  CHECK(window.lookup({}).state == request_state::fresh);
  window.remember({}, result_at(1), 1);
  CHECK(window.size() == 0);
  CHECK(window.encode().empty());
  auto decoded = request_window::decode("");
  REQUIRE(decoded.ok());
  CHECK(decoded->size() == 0);
}

TEST_CASE("results below the oldest unanswered number are forgotten", "[storage][request_window]") {
  request_window window;
  for (std::uint64_t n = 1; n <= 10; ++n) window.remember({7, n, 1}, result_at(n), n);
  CHECK(window.size() == 10);
  window.remember({7, 11, 8}, result_at(11), 11);
  CHECK(window.size() == 4);
  CHECK(window.lookup({7, 7, 1}).state == request_state::forgotten);
  CHECK(window.lookup({7, 8, 1}).state == request_state::seen);
  // The floor never goes back, and never rises above the request that carries it.
  window.remember({7, 12, 3}, result_at(12), 12);
  CHECK(window.lookup({7, 7, 1}).state == request_state::forgotten);
  window.remember({7, 13, 99}, result_at(13), 13);
  CHECK(window.lookup({7, 13, 1}).state == request_state::seen);
  CHECK(window.size() == 1);
}

TEST_CASE("results 10 minutes older than the newest are forgotten", "[storage][request_window]") {
  constexpr auto age = request_window::age_us_max;
  request_window window;
  window.remember({7, 1, 1}, result_at(1), 1'000);
  window.remember({8, 1, 1}, result_at(2), 1'000 + age);
  CHECK(window.lookup({7, 1, 1}).state == request_state::seen);
  window.remember({8, 2, 1}, result_at(3), 1'001 + age);
  CHECK(window.lookup({7, 1, 1}).state == request_state::forgotten);
  CHECK(window.lookup({7, 2, 1}).state == request_state::fresh);
  CHECK(window.lookup({8, 1, 1}).state == request_state::seen);
  CHECK(window.client_count() == 2);
}

TEST_CASE("a shard remembers at most 65,536 results", "[storage][request_window]") {
  request_window window;
  constexpr auto max = request_window::results_max;
  for (std::uint64_t n = 1; n <= max; ++n) window.remember({n % 3 + 1, n, 1}, result_at(n), n);
  CHECK(window.size() == max);
  CHECK(window.lookup({2, 1, 1}).state == request_state::seen);
  window.remember({9, 1, 1}, result_at(max + 1), max + 1);
  CHECK(window.size() == max);
  CHECK(window.lookup({2, 1, 1}).state == request_state::forgotten);
  CHECK(window.lookup({3, 2, 1}).state == request_state::seen);
  CHECK(copy_of(window).encode() == window.encode());
}

TEST_CASE("a shard remembers the 65,536 clients that wrote last", "[storage][request_window]") {
  request_window window;
  constexpr auto max = request_window::clients_max;
  // Client 1 writes again before the others have filled the memory, so client 2 goes first.
  for (std::uint64_t c = 1; c <= max; ++c) window.remember({c, 10, 10}, result_at(c), c);
  window.remember({1, 11, 11}, result_at(max + 1), max);
  window.remember({max + 1, 10, 10}, result_at(max + 2), max);
  CHECK(window.client_count() == max);
  CHECK(window.lookup({1, 10, 10}).state == request_state::forgotten);
  CHECK(window.lookup({1, 11, 11}).state == request_state::seen);
  CHECK(window.lookup({2, 10, 10}).state == request_state::fresh);
  CHECK(window.lookup({3, 10, 10}).state == request_state::seen);
  CHECK(copy_of(window).encode() == window.encode());
}

TEST_CASE("the window keeps its contract over random histories", "[storage][request_window]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random{seed};
  request_window window;
  model_window model;
  std::uint64_t time_us = 1;
  std::map<std::uint64_t, std::uint64_t> next_number;
  for (lsn_t lsn = 1; lsn <= 4'000; lsn += 1 + random() % 3) {
    time_us += random() % 50 ? random() % 1'000'000 : random() % (2 * request_window::age_us_max);
    const auto client = 1 + random() % 6;
    auto& next = next_number[client];
    next += random() % 4;
    const auto number = next - std::min(next, random() % 6); // out of order, some twice
    const request_id id{client, number, number - std::min(number, random() % 40)};
    REQUIRE(same(window.lookup(id), model.lookup(id)));
    // Done as a shard does it, and sometimes as a replay would.
    if (model.lookup(id).state == request_state::fresh || random() % 10 == 0) {
      window.remember(id, result_at(lsn), time_us);
      model.remember(id, result_at(lsn), time_us);
    }
    for (int i = 0; i < 8; ++i) {
      const request_id other{1 + random() % 7, next - std::min(next, random() % 60), 0};
      REQUIRE(same(window.lookup(other), model.lookup(other)));
    }
    if (random() % 100 == 0) window = copy_of(window);
  }
}

TEST_CASE("replaying what a window has seen changes nothing", "[storage][request_window]") {
  request_window window, replayed;
  const auto history = [](request_window& w, lsn_t from, lsn_t to) {
    for (lsn_t lsn = from; lsn <= to; ++lsn)
      w.remember({1 + lsn % 5, lsn, lsn > 30 ? lsn - 30 : 0}, result_at(lsn), lsn * 20'000'000);
  };
  history(window, 1, 500);
  history(replayed, 1, 300);
  replayed = copy_of(replayed);
  history(replayed, 200, 500); // the log is read from before the capture
  CHECK(replayed.encode() == window.encode());
}

TEST_CASE("damage to an encoded window is found", "[storage][request_window][damage]") {
  request_window window;
  for (lsn_t lsn = 1; lsn <= 6; ++lsn) window.remember({1 + lsn % 2, lsn, 0}, result_at(lsn), lsn);
  const auto bytes = window.encode();
  for (std::size_t bit = 0; bit < 8 * bytes.size(); ++bit) {
    auto damaged = bytes;
    damaged[bit / 8] = static_cast<char>(damaged[bit / 8] ^ 1 << bit % 8);
    REQUIRE(request_window::decode(damaged).code() == op_code::corruption);
  }
  for (std::size_t size = 1; size < bytes.size(); ++size)
    REQUIRE(request_window::decode(std::string_view{bytes}.substr(0, size)).code() ==
            op_code::corruption);
  CHECK(request_window::decode(bytes + '\0').code() == op_code::corruption);
}
