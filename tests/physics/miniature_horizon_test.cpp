#include "physics/miniature_horizon.hpp"

#include "physics/mixing.hpp"

#include <catch2/catch_test_macros.hpp>

#include <map>
#include <random>
#include <utility>

using namespace warp::physics;

TEST_CASE("a miniature with nothing left out decides nearly as the whole does",
          "[physics][horizon]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  mixed_sequence random{seed};
  miniature_horizon miniature{500, {}};
  event_horizon horizon{500};
  std::map<std::uint64_t, resident_id> resident;
  std::map<std::uint64_t, ghost_stamp> stamps;
  int same = 0;
  constexpr int steps = 50'000;
  for (int i = 0; i < steps; ++i) {
    const auto key = random.below(random.below(2) == 0 ? 300 : 5'000);
    const bool found = resident.contains(key);
    if (found) {
      horizon.hit(resident[key]);
    } else {
      resident[key] = horizon.admit(key, 1, horizon.is_ghost(stamps[key]));
      for (const auto& gone : horizon.gone()) {
        resident.erase(gone.owner);
        stamps[gone.owner] = gone.stamp;
      }
    }
    same += miniature.access(mix(key), 1) == found;
    REQUIRE(miniature.horizon().used() <= 500);
  }
  CHECK(same > steps * 98 / 100); // some ghosts find no room in their bucket
}

TEST_CASE("one key in n at an nth of the capacity foretells the miss ratio", "[physics][horizon]") {
  mixed_sequence random{3};
  miniature_horizon whole{20'000, {}}, part{1'000, {}};
  int misses = 0, part_misses = 0, part_accesses = 0;
  for (int i = 0; i < 1'000'000; ++i) {
    const auto key = mix(random.below(random.below(2) == 0 ? 15'000 : 200'000));
    misses += !whole.access(key, 1);
    if (key % 20 != 0) continue;
    ++part_accesses;
    part_misses += !part.access(key, 1);
  }
  const auto ratio = misses / 1e6, foretold = static_cast<double>(part_misses) / part_accesses;
  CAPTURE(ratio, foretold);
  CHECK(foretold > ratio - 0.03);
  CHECK(foretold < ratio + 0.03);
}

TEST_CASE("a miniature forgets who has left when its capacity shrinks", "[physics][horizon]") {
  miniature_horizon m{100, {}};
  for (std::uint64_t key = 0; key < 100; ++key) m.access(mix(key), 1);
  m.set_capacity(10);
  CHECK(m.horizon().used() == 10);
  int found = 0;
  m.set_capacity(1'000);
  for (std::uint64_t key = 0; key < 100; ++key) found += m.access(mix(key), 1);
  CHECK(found == 10);
}
