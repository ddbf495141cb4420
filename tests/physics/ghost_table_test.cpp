#include "physics/ghost_table.hpp"

#include "physics/mixing.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace warp::physics;

TEST_CASE("a ghost is told of once, with its stamp", "[physics][horizon]") {
  ghost_table ghosts;
  CHECK(ghosts.take(mix(1)) == event_horizon::no_stamp);
  ghosts.remember(mix(1), 7, 100);
  ghosts.remember(mix(2), 8, 100);
  CHECK(ghosts.take(mix(1)) == 7);
  CHECK(ghosts.take(mix(1)) == event_horizon::no_stamp);
  CHECK(ghosts.take(mix(2)) == 8);
}

TEST_CASE("of as many ghosts as there is room for nearly all are kept, the latest best",
          "[physics][horizon]") {
  constexpr std::uint32_t room = 10'000;
  ghost_table ghosts;
  for (ghost_stamp stamp = 1; stamp <= 5 * room; ++stamp) ghosts.remember(mix(stamp), stamp, room);
  std::uint32_t kept = 0, latest = 0;
  for (ghost_stamp stamp = 4 * room + 1; stamp <= 5 * room; ++stamp) {
    const bool found = ghosts.take(mix(stamp)) == stamp;
    kept += found;
    if (stamp > 5 * room - room / 10) latest += found;
  }
  CHECK(kept > room * 90 / 100);
  CHECK(latest > room / 10 * 99 / 100);
}

TEST_CASE("a table that grows keeps its ghosts", "[physics][horizon]") {
  ghost_table ghosts;
  for (ghost_stamp stamp = 1; stamp <= 2'000; ++stamp) ghosts.remember(mix(stamp), stamp, stamp);
  std::uint32_t kept = 0;
  for (ghost_stamp stamp = 1; stamp <= 2'000; ++stamp) kept += ghosts.take(mix(stamp)) == stamp;
  CHECK(kept > 1'900);
}
