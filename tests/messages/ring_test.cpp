#include "messages/ring.hpp"

#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>
#include <deque>
#include <memory>
#include <random>
#include <utility>

using namespace warp;

TEST_CASE("a ring holds what a deque holds, wherever it begins", "[messages]") {
  const auto seed = Catch::getSeed(); // --rng-seed
  CAPTURE(seed);
  std::mt19937 random{seed};
  ring<int> all;
  std::deque<int> model;
  for (int step = 0; step < 20'000; ++step) {
    // Grows and shrinks in turns.
    const auto kind = random() % 10;
    const bool grows = step / 500 % 2 == 0;
    if (kind < (grows ? 6u : 3u)) {
      all.push_back(step);
      model.push_back(step);
    } else if (!model.empty() && kind < 9) {
      all.pop_front();
      model.pop_front();
    } else if (!model.empty()) {
      all.pop_back();
      model.pop_back();
    }
    REQUIRE(all.size() == model.size());
    REQUIRE(all.empty() == model.empty());
    if (model.empty()) continue;
    REQUIRE(all.front() == model.front());
    REQUIRE(all.back() == model.back());
    const auto i = random() % model.size();
    REQUIRE(all[i] == model[i]);
  }
  all.clear();
  CHECK(all.empty());
}

TEST_CASE("what has left a ring is let go at once", "[messages]") {
  ring<std::shared_ptr<int>> all;
  const auto first = std::make_shared<int>(1), last = std::make_shared<int>(2);
  all.push_back(first);
  all.push_back(last);
  all.pop_front();
  CHECK(first.use_count() == 1);
  all.pop_back();
  CHECK(last.use_count() == 1);
}

TEST_CASE("a ring gives back what it has needed once, and a moved one is empty", "[messages]") {
  ring<int> all;
  for (int i = 0; i < 100'000; ++i) all.push_back(i);
  REQUIRE(all.room() >= 100'000);
  while (all.size() > 10) all.pop_front();
  for (int i = 0; i < 100; ++i) {
    all.push_back(i);
    all.pop_front();
  }
  CHECK(all.room() <= 8 * ring<int>::room_kept);
  CHECK(all.size() == 10);
  CHECK(all.back() == 99);
  const auto taken = std::move(all);
  CHECK(taken.size() == 10);
  CHECK(all.empty()); // NOLINT: that is what is claimed
  all.push_back(1);
  CHECK(all.front() == 1);
}
