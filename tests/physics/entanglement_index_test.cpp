#include "physics/entanglement_index.hpp"
#include "tests/physics/seeded_random.hpp"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <vector>

using namespace warp::physics;
using Catch::Approx;
using keys = std::vector<std::uint64_t>;

namespace {

/// Windows of a few keys each: 100 and 200 always together, the others at random.
void live(entanglement_index& index, seeded_random& random, int windows, double from_s = 0) {
  for (int i = 0; i < windows; ++i) {
    keys window;
    for (int k = 0; k < 6; ++k) window.push_back(random.below(50));
    if (i % 4 == 0) {
      window[2] = 100;
      window[3] = 200;
    }
    index.observe(window, from_s + i * 0.01);
  }
}

} // namespace

TEST_CASE("what always follows is found with all its strength, what is chance is not told",
          "[physics][entanglement]") {
  seeded_random random;
  entanglement_index index{{.keys_max = 1000, .partners_max = 16}};
  live(index, random, 2000);
  CHECK(index.strength(100, 200) == Approx(1).margin(1e-6));
  const auto found = index.partners(100);
  REQUIRE(!found.empty());
  CHECK(found[0].key == 200);
  CHECK(!found[0].declared);
  // 200 ends the pair: what comes after it is whoever, each about as often as anywhere.
  for (const auto& p : index.partners(200, 10, 0.0)) CHECK(p.strength < 0.2);
  CHECK(index.strength(100, 77) == 0);
  CHECK(index.strength(12345, 200) == 0);
  CHECK(index.partners(12345).empty());
}

TEST_CASE("strengths stay in [0, 1], sorted, above what is asked for and no more than asked",
          "[physics][entanglement]") {
  seeded_random random;
  for (const bool in_order : {true, false}) {
    entanglement_index index{{.keys_max = 20, .partners_max = 4, .in_order = in_order}};
    live(index, random, 3000); // more keys than it has room for
    for (std::uint64_t key = 0; key < 201; ++key) {
      const auto found = index.partners(key, 3, 0.05);
      REQUIRE(found.size() <= 3);
      for (std::size_t i = 0; i < found.size(); ++i) {
        REQUIRE(found[i].strength >= 0.05);
        REQUIRE(found[i].strength <= 1);
        REQUIRE(found[i].key != key);
        REQUIRE(index.strength(key, found[i].key) == found[i].strength);
        if (i > 0) REQUIRE(found[i].strength <= found[i - 1].strength);
      }
    }
    CHECK(index.keys().size() <= 20);
  }
}

TEST_CASE("the order of a stream matters, that of one MGET does not", "[physics][entanglement]") {
  entanglement_index stream{{.lift_min = 0}}, mget{{.in_order = false, .lift_min = 0}};
  for (int i = 0; i < 50; ++i) {
    stream.observe(keys{1, 2, 3}, i);
    mget.observe(i % 2 ? keys{1, 2, 3} : keys{3, 1, 2}, i);
  }
  CHECK(stream.strength(1, 2) == Approx(1));
  CHECK(stream.strength(1, 3) == Approx(0.25)); // two apart
  CHECK(stream.strength(2, 1) == 0);
  for (std::uint64_t a = 1; a <= 3; ++a)
    for (std::uint64_t b = 1; b <= 3; ++b)
      if (a != b) CHECK(mget.strength(a, b) == Approx(1));
}

TEST_CASE("links that are no longer used fade with a half-life of 300 s",
          "[physics][entanglement]") {
  entanglement_index index{{.lift_min = 0}};
  for (int i = 0; i < 100; ++i) index.observe(keys{1, 2}, 0);
  for (int i = 0; i < 100; ++i) index.observe(keys{1, 3}, 0);
  CHECK(index.strength(1, 2) == Approx(0.5));
  // Ten half-lives on, a tenth as many new ones weigh far more.
  for (int i = 0; i < 20; ++i) index.observe(keys{1, 3}, 3000);
  CHECK(index.strength(1, 2) < 0.01);
  CHECK(index.strength(1, 3) > 0.99);
}

TEST_CASE("years of decay leave strengths as they should be", "[physics][entanglement]") {
  entanglement_index index{{.keys_max = 8, .lift_min = 0}};
  double now = 0;
  for (int month = 0; month < 24; ++month, now += 30 * 86'400.0)
    for (int i = 0; i < 10; ++i) index.observe(i % 2 ? keys{1, 2} : keys{1, 3}, now + i);
  CHECK(index.strength(1, 2) == Approx(0.5));
  CHECK(index.strength(1, 3) == Approx(0.5));
  for (int day = 0; day < 100; ++day) // in steps that each rescale a little
    index.observe(keys{1, 2}, now += 3'600);
  CHECK(index.strength(1, 2) > 0.99);
}

TEST_CASE("declared links stand beside learned ones, with the larger strength",
          "[physics][entanglement]") {
  entanglement_index index{{.lift_min = 0}};
  index.declare(1, 2, 0.8);
  index.declare(1, 3, 0.4);
  CHECK(index.strength(1, 2) == 0.8);
  for (int i = 0; i < 10; ++i) index.observe(keys{1, 3}, 0);
  const auto found = index.partners(1);
  REQUIRE(found.size() == 2);
  CHECK(found[0].key == 3);
  CHECK(found[0].strength == Approx(1));
  CHECK(found[0].declared);
  CHECK(found[1].key == 2);
  index.declare(1, 2, 0);
  index.declare(1, 3, 0);
  CHECK(index.partners(1).size() == 1);
  CHECK(!index.partners(1)[0].declared);
}

TEST_CASE("the same windows give the same index", "[physics][entanglement]") {
  seeded_random one, two;
  entanglement_index a{{.keys_max = 30}}, b{{.keys_max = 30}};
  live(a, one, 2000);
  live(b, two, 2000);
  for (std::uint64_t key = 0; key < 201; ++key) {
    const auto x = a.partners(key, 20, 0), y = b.partners(key, 20, 0);
    REQUIRE(x.size() == y.size());
    for (std::size_t i = 0; i < x.size(); ++i) {
      REQUIRE(x[i].key == y[i].key);
      REQUIRE(x[i].strength == y[i].strength);
    }
  }
}
