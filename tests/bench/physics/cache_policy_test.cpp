#include "tests/bench/physics/cache_policy.hpp"

#include "tests/bench/random.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <array>
#include <limits>
#include <list>
#include <random>
#include <set>

using namespace warp::bench;
using namespace warp::bench::physics;

namespace {

constexpr std::array all{make_arc,        make_fifo,          make_lfu,           make_lirs,
                         make_lru,        make_s3_fifo,       make_sieve,         make_two_q,
                         make_w_tiny_lfu, make_fixed_horizon, make_fitted_horizon};

trace skewed(std::uint64_t seed, std::uint32_t keys, std::size_t accesses) {
  fast_random random{seed};
  trace t{"skewed", {}, keys};
  for (std::size_t i = 0; i < accesses; ++i) {
    auto range = keys;
    while (range > 10 && random.below(2) == 0) range /= 3;
    t.accesses.push_back(random.below(range));
  }
  return t;
}

/// FIFO and LRU by their definition.
double by_definition(const trace& t, std::size_t capacity, bool lru) {
  std::list<std::uint32_t> order;
  double misses = 0;
  for (const auto key : t.accesses) {
    const auto at = std::ranges::find(order, key);
    if (at == order.end()) {
      ++misses;
      if (order.size() == capacity) order.pop_front();
      order.push_back(key);
    } else if (lru) {
      order.splice(order.end(), order, at);
    }
  }
  return misses / static_cast<double>(t.accesses.size());
}

/// The least misses of all ways to keep or not to keep.
std::size_t least_misses(const trace& t, std::size_t capacity, std::size_t at,
                         std::set<std::uint32_t> kept) {
  if (at == t.accesses.size()) return 0;
  const auto key = t.accesses[at];
  if (kept.contains(key)) return least_misses(t, capacity, at + 1, kept);
  auto least = least_misses(t, capacity, at + 1, kept);
  auto with = kept;
  with.insert(key);
  if (with.size() <= capacity) return 1 + std::min(least, least_misses(t, capacity, at + 1, with));
  for (const auto victim : kept) {
    auto without = with;
    without.erase(victim);
    least = std::min(least, least_misses(t, capacity, at + 1, without));
  }
  return 1 + least;
}

} // namespace

TEST_CASE("fifo and lru do what their definitions say", "[bench][physics]") {
  const auto t = skewed(1, 500, 5'000);
  CHECK(miss_ratio(*make_fifo(t.keys, 40), t) == by_definition(t, 40, false));
  CHECK(miss_ratio(*make_lru(t.keys, 40), t) == by_definition(t, 40, true));
}

TEST_CASE("belady has the least misses of all ways to decide (all small instances of a seed)",
          "[bench][physics]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  for (std::uint64_t i = 0; i < 30; ++i) {
    const auto t = skewed(seed + i, 4, 10);
    for (const std::size_t capacity : {1u, 2u, 3u}) {
      CAPTURE(i, capacity);
      REQUIRE(belady_miss_ratio(t, capacity) ==
              static_cast<double>(least_misses(t, capacity, 0, {})) / 10);
    }
  }
}

TEST_CASE("no policy misses less than belady, or a key that has not been there before",
          "[bench][physics]") {
  const auto t = skewed(2, 3'000, 60'000);
  for (const std::size_t capacity : {100u, 300u, 1'000u}) {
    const auto least = belady_miss_ratio(t, capacity);
    for (const auto make : all) {
      const auto policy = make(t.keys, capacity);
      std::set<std::uint32_t> seen;
      std::size_t misses = 0;
      for (const auto key : t.accesses) {
        const bool hit = policy->access(key);
        REQUIRE((!hit || seen.contains(key)));
        seen.insert(key);
        misses += !hit;
      }
      CHECK(static_cast<double>(misses) >= least * 60'000);
      CHECK(misses < 60'000);
    }
  }
}

TEST_CASE("a loop that is longer than the cache defeats lru, and not those that were made for it",
          "[bench][physics]") {
  trace t{"loop", {}, 1'000};
  for (int round = 0; round < 100; ++round)
    for (std::uint32_t key = 0; key < 1'000; ++key) t.accesses.push_back(key);
  CHECK(miss_ratio(*make_lru(t.keys, 600), t) == 1);
  CHECK(miss_ratio(*make_fifo(t.keys, 600), t) == 1);
  for (const auto make : {make_lirs, make_s3_fifo, make_fixed_horizon, make_fitted_horizon})
    CHECK(miss_ratio(*make(t.keys, 600), t) < 0.7);
  CHECK(belady_miss_ratio(t, 600) < 0.41);
}
