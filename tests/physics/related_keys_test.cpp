#include "physics/related_keys.hpp"
#include "tests/physics/seeded_random.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <set>
#include <vector>

using namespace warp::physics;
using keys = std::vector<std::uint64_t>;

TEST_CASE("a key's partners come first, then those that only they are used with",
          "[physics][entanglement]") {
  entanglement_index index{{.keys_max = 100, .in_order = false, .lift_min = 0}};
  for (int i = 0; i < 20; ++i) {
    index.observe(keys{1, 2}, i);
    index.observe(keys{2, 3}, i);
    index.observe(keys{8, 9}, i);
  }
  const auto found = related_keys(index, 1);
  REQUIRE(found.size() == 2);
  CHECK(found[0].key == 2);
  CHECK(found[1].key == 3);
  CHECK(found[0].strength > found[1].strength);
  CHECK(found[1].strength > 0);
  CHECK(related_keys(index, 77).empty());
}

TEST_CASE("between equal partners the one that more ways lead to is closer",
          "[physics][entanglement]") {
  entanglement_index index{{.keys_max = 100}};
  index.declare(1, 2, 0.5);
  index.declare(1, 3, 0.5);
  index.declare(1, 4, 0.5);
  index.declare(3, 4, 0.5);
  index.declare(2, 5, 1);
  index.declare(2, 6, 1);
  const auto found = related_keys(index, 1);
  REQUIRE(found.size() == 5);
  CHECK(found[2].key == 2); // of the three direct ones the one that is drawn elsewhere
  CHECK(found[0].declared);
  CHECK_FALSE(found[4].declared);
}

TEST_CASE("related keys are bounded, different, sorted and the same again",
          "[physics][entanglement]") {
  seeded_random random;
  entanglement_index index{{.keys_max = 200, .partners_max = 8, .lift_min = 0}};
  for (int i = 0; i < 3000; ++i) {
    keys window;
    for (int k = 0; k < 6; ++k) window.push_back(random.below(300));
    index.observe(window, i);
  }
  for (std::uint64_t key = 0; key < 300; ++key) {
    const auto found = related_keys(index, key, 7, {.keys_max = 30});
    REQUIRE(found.size() <= 7);
    std::set<std::uint64_t> different;
    for (std::size_t i = 0; i < found.size(); ++i) {
      REQUIRE(found[i].key != key);
      REQUIRE(different.insert(found[i].key).second);
      REQUIRE(found[i].strength > 0);
      REQUIRE(found[i].strength <= 1.1 + 1e-9);
      if (i > 0) REQUIRE(found[i].strength <= found[i - 1].strength);
    }
    const auto again = related_keys(index, key, 7, {.keys_max = 30});
    REQUIRE(std::ranges::equal(found, again, {}, &partner::key, &partner::key));
  }
}
