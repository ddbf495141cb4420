#include "actors/live_physics.hpp"

#include "physics/mixing.hpp"
#include "tests/support/engine_fixture.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cmath>
#include <list>
#include <string>
#include <unordered_map>
#include <vector>

using namespace warp;
using warp::actors::live_physics;
using warp::testing::running_engine;

namespace {

using namespace std::chrono_literals;

constexpr int keys = 1'000;

storage::engine_options watched(std::uint32_t keys_one_in, std::uint32_t samples_per_s_max) {
  auto options = warp::testing::small_options({});
  options.default_level = durability::memory;
  options.observation = {
      .keys_one_in = keys_one_in, .samples_per_s_max = samples_per_s_max, .capacity = 1 << 12};
  return options;
}

std::string key(int i) {
  return "some:key:" + std::to_string(10'000 + i);
}

void read(running_engine& e, int i) {
  REQUIRE(e.run({.kind = op_kind::get, .key = key(i), .value = {}, .request = {}}).code ==
          op_code::ok);
}

/// The lower a key, the more it is read: a tenth of all are read as often as the rest.
int skewed(physics::mixed_sequence& random) {
  const double u = random.unit();
  return static_cast<int>(keys * u * u * u * u);
}

/// Learns until `holds` of what is told; a look at the engine's counts is due once a second.
template <class Holds>
physics_report learn_until(live_physics& live, Holds holds) {
  const auto end = std::chrono::steady_clock::now() + 60s;
  for (;;) {
    live.turn(50ms);
    auto report = live.report();
    if (holds(report)) return report;
    REQUIRE(std::chrono::steady_clock::now() < end);
  }
}

/// The part of the reads of keys seen before that an exact LRU with room for so many keys misses.
double missed_by_lru(const std::vector<int>& reads, std::size_t room) {
  std::list<int> order;
  std::unordered_map<int, std::list<int>::iterator> where;
  std::vector<bool> seen(keys);
  std::size_t known = 0, missed = 0;
  for (const auto k : reads) {
    known += seen[static_cast<std::size_t>(k)];
    if (const auto at = where.find(k); at != where.end()) {
      order.splice(order.begin(), order, at->second);
      continue;
    }
    missed += seen[static_cast<std::size_t>(k)];
    seen[static_cast<std::size_t>(k)] = true;
    if (order.size() == room) {
      where.erase(order.back());
      order.pop_back();
    }
    order.push_front(k);
    where[k] = order.begin();
  }
  return static_cast<double>(missed) / static_cast<double>(known);
}

} // namespace

TEST_CASE("what would miss is learned from watched keys, and lies near an exact simulation",
          "[actors][physics]") {
  running_engine e{watched(1, 1'000'000)};
  for (int i = 0; i < keys; ++i) REQUIRE(e.put(key(i), "a value").code == op_code::ok);
  live_physics live{*e, {.cpu_share_max = 2}};
  // It has to know how large the store is before it can say what part of it would do.
  learn_until(live, [](const auto& r) { return r.horizon.bytes == keys * (14 + 7); });
  physics::mixed_sequence random{11};
  std::vector<int> reads;
  for (int i = 0; i < 50'000; ++i) {
    reads.push_back(skewed(random));
    read(e, reads.back());
    if (i % 1'000 == 999) live.turn(0ms);
  }
  const auto h = learn_until(live, [](const auto& r) { return r.horizon.reads > 48'000; }).horizon;
  CHECK(h.keys_one_in == 1);
  CHECK(h.keys <= keys);
  CHECK(h.keys > keys * 9 / 10);
  CHECK(h.reads <= 50'000);
  REQUIRE(h.curve.size() == 5);
  for (std::size_t i = 0; i < h.curve.size(); ++i) {
    const auto& p = h.curve[i];
    const auto exact = missed_by_lru(reads, static_cast<std::size_t>(p.share * keys));
    CAPTURE(p.share, p.miss_ratio, exact);
    CHECK(std::abs(p.miss_ratio - exact) < 0.12);
    if (i > 0) CHECK(p.miss_ratio < h.curve[i - 1].miss_ratio);
  }
  CHECK(h.small_share > 0);
  CHECK(h.hits_to_stay >= 1);
  // Below T2 no key is watched, and what was learned stays.
  live.order(physics_tier::t1);
  read(e, 1);
  CHECK(live.report().horizon.keys_one_in == 0);
  CHECK(live.report().horizon.curve.size() == 5);
}

TEST_CASE("where watched keys are used too much fewer of them are watched", "[actors][physics]") {
  running_engine e{watched(1, 2'000)};
  for (int i = 0; i < keys; ++i) REQUIRE(e.put(key(i), "a value").code == op_code::ok);
  live_physics live{*e, {.cpu_share_max = 2}};
  physics::mixed_sequence random{11};
  const auto report = learn_until(live, [&](const auto& r) {
    for (int i = 0; i < 1'000; ++i) read(e, skewed(random));
    return r.horizon.keys_one_in > 1;
  });
  CHECK(report.tier == physics_tier::t2); // that does not need a step down
  CHECK(report.horizon.keys < keys);      // it began anew
}
