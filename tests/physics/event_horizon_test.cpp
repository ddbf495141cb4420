#include "physics/event_horizon.hpp"

#include "physics/mixing.hpp"

#include <catch2/catch_test_macros.hpp>

#include <map>
#include <random>
#include <set>
#include <utility>
#include <vector>

using namespace warp::physics;

namespace {

/// A cache as a caller would build it: the table that the horizon leaves to others.
class cache {
public:
  explicit cache(std::uint64_t capacity, horizon_settings settings = {})
      : horizon(capacity, settings) {}

  bool access(std::uint64_t key, std::uint32_t bytes = 1) {
    if (const auto found = resident.find(key); found != resident.end()) {
      horizon.hit(found->second.first);
      return true;
    }
    const auto id = horizon.admit(key, bytes, horizon.is_ghost(stamps[key]));
    forget_gone();
    if (id != event_horizon::none) resident[key] = {id, bytes};
    return false;
  }
  void forget_gone() {
    for (const auto& [id, owner, stamp] : horizon.gone()) {
      REQUIRE(resident.at(owner).first == id);
      resident.erase(owner);
      stamps[owner] = stamp;
      left.push_back(owner);
    }
  }
  void remove(std::uint64_t key) {
    horizon.remove(resident.at(key).first);
    resident.erase(key);
  }

  event_horizon horizon;
  std::map<std::uint64_t, std::pair<resident_id, std::uint32_t>> resident;
  std::map<std::uint64_t, ghost_stamp> stamps;
  std::vector<std::uint64_t> left; // in their order
};

/// Skewed keys: half of the accesses go to a tenth of them, at each scale.
std::uint64_t skewed(mixed_sequence& random, std::uint32_t keys) {
  while (keys > 10 && random.below(2) == 0) keys /= 10;
  return random.below(keys);
}

} // namespace

TEST_CASE(
    "what is in memory never exceeds the capacity and is what was told (random sizes, deletes, "
    "settings and capacities)",
    "[physics][horizon]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  mixed_sequence random{seed};
  cache c{5'000};
  for (int step = 0; step < 60'000; ++step) {
    const auto key = skewed(random, 2'000);
    const auto what = random.below(1'000);
    if (what < 150 && c.resident.contains(key)) {
      c.remove(key);
    } else if (what == 150) {
      c.horizon.set_capacity(random.below(10'000));
      c.forget_gone();
    } else if (what == 151) {
      horizon_settings s;
      s.small_share = 0.01 + 0.9 * random.unit();
      s.ghost_share = 2 * random.unit();
      s.window_share = 0.9 * random.unit();
      s.hits_to_stay = 1 + random.below(2);
      s.fill_every = random.below(9);
      c.horizon.apply(s);
    } else {
      c.access(key, random.below(100));
    }
    std::uint64_t bytes = 0;
    if (step % 97 == 0) {
      for (const auto& [k, r] : c.resident) bytes += r.second;
      REQUIRE(c.horizon.used() == bytes);
    }
    REQUIRE(c.horizon.used() <= c.horizon.capacity());
    REQUIRE(c.horizon.residents() == c.resident.size());
  }
}

TEST_CASE("the same accesses give the same decisions", "[physics][horizon]") {
  const auto run = [](std::uint64_t seed) {
    mixed_sequence random{seed};
    cache c{300};
    for (int i = 0; i < 20'000; ++i) c.access(skewed(random, 3'000), 1 + random.below(3));
    return c.left;
  };
  CHECK(run(5) == run(5));
  CHECK(run(5) != run(6));
}

TEST_CASE("a hit makes nobody leave", "[physics][horizon]") {
  cache c{100};
  for (std::uint64_t key = 0; key < 150; ++key) c.access(key);
  const auto before = c.resident;
  const auto left = c.left.size();
  for (int round = 0; round < 5; ++round)
    for (const auto& [key, r] : before) REQUIRE(c.access(key));
  CHECK(c.resident == before);
  CHECK(c.left.size() == left);
}

TEST_CASE("without hits the oldest one on trial leaves first", "[physics][horizon]") {
  horizon_settings s;
  s.fill_every = 0;
  cache c{50, s};
  for (std::uint64_t key = 0; key < 120; ++key) c.access(key);
  REQUIRE(c.left.size() == 70);
  for (std::uint64_t key = 0; key < 70; ++key) CHECK(c.left[key] == key);
}

TEST_CASE("a key with a hit stays when it leaves the small queue, one without does not",
          "[physics][horizon]") {
  cache c{100};
  for (std::uint64_t key = 0; key < 100; ++key) c.access(key);
  c.access(0); // long out of the window
  for (std::uint64_t key = 100; key < 150; ++key) c.access(key);
  CHECK(c.resident.contains(0));
  CHECK_FALSE(c.resident.contains(1));
}

TEST_CASE("hits of a key that has just come don't count, a later one does", "[physics][horizon]") {
  horizon_settings s;
  s.small_share = 0.4;
  s.window_share = 0.5; // 20 of 100
  s.fill_every = 0;
  for (const bool later : {false, true}) {
    cache c{100, s};
    c.access(1'000);
    for (int i = 0; i < 10; ++i) c.access(1'000);
    for (std::uint64_t key = 0; key < 30; ++key) c.access(key);
    if (later) c.access(1'000);
    for (std::uint64_t key = 30; key < 120; ++key) c.access(key);
    CHECK(c.resident.contains(1'000) == later);
  }
}

TEST_CASE("with two hits to stay one is not enough", "[physics][horizon]") {
  horizon_settings s;
  s.hits_to_stay = 2;
  s.window_share = 0;
  s.fill_every = 0;
  cache c{100, s};
  for (std::uint64_t key = 0; key < 100; ++key) c.access(key);
  c.access(0);
  c.access(1);
  c.access(1);
  for (std::uint64_t key = 100; key < 150; ++key) c.access(key);
  CHECK_FALSE(c.resident.contains(0));
  CHECK(c.resident.contains(1));
}

TEST_CASE("a ghost comes back to the main queue, a stranger to the small one",
          "[physics][horizon]") {
  horizon_settings s;
  s.fill_every = 0;
  cache c{100, s};
  for (std::uint64_t key = 0; key < 120; ++key) c.access(key); // 0 .. 19 left
  c.access(0);
  REQUIRE(c.resident.contains(0));
  for (std::uint64_t key = 200; key < 400; ++key) c.access(key); // all strangers
  CHECK(c.resident.contains(0));
  CHECK_FALSE(c.resident.contains(200));
}

TEST_CASE("a key is a ghost for as many demotions as the settings say", "[physics][horizon]") {
  horizon_settings s;
  s.fill_every = 0;
  s.ghost_share = 0.5;
  cache c{100, s};
  for (std::uint64_t key = 0; key < 101; ++key) c.access(key);
  const auto stamp = c.stamps.at(0);
  for (std::uint64_t key = 101; key < 151; ++key) {
    REQUIRE(c.horizon.is_ghost(stamp));
    c.access(key);
  }
  CHECK(c.horizon.is_ghost(stamp));
  c.access(151);
  CHECK_FALSE(c.horizon.is_ghost(stamp));
  CHECK_FALSE(c.horizon.is_ghost(event_horizon::no_stamp));
}

TEST_CASE("an entry pays for its bytes", "[physics][horizon]") {
  horizon_settings s;
  s.fill_every = 0;
  cache c{100, s};
  for (std::uint64_t key = 0; key < 100; ++key) c.access(key);
  c.access(1'000, 40);
  CHECK(c.left.size() == 40);
  CHECK(c.horizon.residents() == 61);
  CHECK(c.horizon.used() == 100);
}

TEST_CASE("what is larger than the capacity is not kept and pushes nobody out",
          "[physics][horizon]") {
  cache c{100};
  for (std::uint64_t key = 0; key < 100; ++key) c.access(key);
  CHECK_FALSE(c.access(1'000, 101));
  CHECK_FALSE(c.resident.contains(1'000));
  CHECK(c.left.empty());
  CHECK(c.horizon.used() == 100);
}

TEST_CASE("keys of no bytes take no room", "[physics][horizon]") {
  cache c{10};
  for (std::uint64_t key = 0; key < 1'000; ++key) c.access(key, 0);
  CHECK(c.horizon.residents() == 1'000);
  CHECK(c.left.empty());
}

TEST_CASE("a capacity of nothing keeps nothing", "[physics][horizon]") {
  cache c{0};
  c.access(1);
  CHECK(c.resident.empty());
}

TEST_CASE("a loop longer than the capacity is partly remembered", "[physics][horizon]") {
  cache c{100};
  int hits = 0;
  for (int round = 0; round < 60; ++round)
    for (std::uint64_t key = 0; key < 400; ++key) hits += c.access(key);
  CHECK(hits > 60 * 400 / 8); // an LRU list would have none; the best there is, a quarter
}

TEST_CASE("residents that are removed take no memory for long", "[physics][horizon]") {
  cache c{1'000'000};
  std::set<resident_id> seen;
  for (std::uint64_t key = 0; key < 100'000; ++key) {
    c.access(key);
    seen.insert(c.resident.at(key).first);
    if (key >= 100) c.remove(key - 100);
  }
  CHECK(seen.size() < 1'000);
  CHECK(c.horizon.residents() == 100);
}

TEST_CASE("a smaller capacity takes effect at once", "[physics][horizon]") {
  cache c{1'000};
  for (std::uint64_t key = 0; key < 1'000; ++key) c.access(key);
  c.horizon.set_capacity(200);
  c.forget_gone();
  CHECK(c.horizon.used() == 200);
  CHECK(c.resident.size() == 200);
}
