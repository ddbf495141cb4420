#include "storage/key_hash.hpp"
#include "storage/pending_keys.hpp"

#include <catch2/catch_get_random_seed.hpp>
#include <catch2/catch_test_macros.hpp>
#include <fmt/format.h>
#include <map>
#include <random>
#include <string>

using namespace warp;
using namespace warp::storage;

TEST_CASE("pending keys are found until they are removed, and stay where they are", "[storage]") {
  const auto seed = Catch::getSeed(); // --rng-seed
  CAPTURE(seed);
  std::mt19937 random{seed};
  pending_keys keys;
  std::map<std::string, pending_key*> model;
  for (int step = 0; step < 30'000; ++step) {
    const bool grows = step / 3'000 % 2 == 0;
    // Some have the same hash, and some are long.
    const auto number = random() % 2'000;
    const auto text = fmt::format("{}{}", number, std::string(number % 100 == 0 ? 400 : 3, 'k'));
    const auto hash = number % 50 == 0 ? 7 : key_hash(text);
    const auto known = model.find(text);
    auto* const found = keys.find(hash, text);
    REQUIRE(found == (known == model.end() ? nullptr : known->second));
    if (found == nullptr && (grows || random() % 4 == 0)) {
      auto& added = keys.add(hash, text);
      REQUIRE(added.text == text);
      REQUIRE(added.hash == hash);
      REQUIRE(added.lsn == 0); // nothing is left of the one that had its place
      REQUIRE(added.unmade.empty());
      REQUIRE_FALSE(added.in_overlay);
      added.lsn = number + 1;
      added.unmade = "record";
      added.in_overlay = true;
      model.emplace(text, &added);
    } else if (found != nullptr && random() % 2 == 0) {
      REQUIRE(found->lsn == number + 1);
      keys.remove(*found);
      model.erase(text);
    }
    if (step % 10'000 == 9'999) {
      std::size_t count = 0;
      keys.each([&](pending_key& key) {
        ++count;
        REQUIRE(model.at(key.text) == &key);
      });
      REQUIRE(count == model.size());
      keys.clear();
      model.clear();
    }
  }
}
