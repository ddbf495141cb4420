#include "tests/actors/universe_fixture.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <string>
#include <thread>
#include <vector>

using namespace warp;
using warp::testing::universe_fixture;

namespace {

using namespace std::chrono_literals;

struct physics_fixture : universe_fixture {
  std::unique_ptr<universe> open(actors::physics_settings learning = {}) {
    // Small enough windows for a test to fill, and every one of them.
    universe_options options{.learning = std::move(learning)};
    options.engine.observation.windows_one_in = 1;
    options.engine.observation.samples_per_s_max = 1'000'000;
    return open_observed(std::move(options));
  }
  std::unique_ptr<universe> open_observed(universe_options options) {
    const auto observation = options.engine.observation;
    options.engine = warp::testing::small_options("data");
    options.engine.files = &files;
    options.engine.observation = observation;
    auto opened = universe::open(std::move(options));
    INFO(opened.status().to_string());
    REQUIRE(opened.ok());
    return std::move(*opened);
  }
};

/// True when all went well; says nothing itself, so that any thread may call it.
bool use(universe& u, int users = 30, int rounds = 10) {
  std::vector<std::string> keys;
  bool well = true;
  for (int i = 0; i < users; ++i)
    for (const auto* kind : {"user:", "profile:", "settings:"})
      well &= u.put(keys.emplace_back(kind + std::to_string(i)), "value").ok();
  for (int r = 0; r < rounds; ++r)
    for (std::size_t i = 0; i < keys.size(); i += 3) {
      const std::vector<std::string_view> some{keys[i], keys[i + 1], keys[i + 2]};
      for (const auto& got : u.multi_get(some)) well &= got.ok();
    }
  return well;
}

std::map<std::string, quantum_partner> partners(universe& u, std::string_view key,
                                                const quantum_options& options = {}) {
  auto found = u.quantum_get(key, options);
  REQUIRE(found.ok());
  std::map<std::string, quantum_partner> out;
  for (auto& p : found->partners) out.emplace(p.key, p);
  return out;
}

/// Waits for something that the observer brings about.
template <class Holds>
void wait_until(Holds holds) {
  const auto end = std::chrono::steady_clock::now() + 60s;
  while (!holds()) {
    REQUIRE(std::chrono::steady_clock::now() < end);
    std::this_thread::sleep_for(5ms);
  }
}

} // namespace

TEST_CASE_METHOD(physics_fixture, "keys that are asked for together are told together",
                 "[actors][physics]") {
  auto u = open();
  REQUIRE(use(*u));
  wait_until([&] {
    REQUIRE(use(*u, 30, 1));
    return partners(*u, "user:3").contains("settings:3");
  });
  const auto found = partners(*u, "user:3", {.values = true});
  CHECK(found.contains("profile:3"));
  CHECK_FALSE(found.at("settings:3").declared);
  CHECK(found.at("settings:3").present);
  CHECK(found.at("settings:3").value == "value");
  REQUIRE(u->erase("settings:3").ok());
  const auto later = partners(*u, "user:3", {.values = true});
  CHECK_FALSE(later.at("settings:3").present);
  CHECK(u->quantum_get("user:3", {.max = 1})->partners.size() == 1);
  const auto absent = u->quantum_get("nobody");
  REQUIRE(absent.ok());
  CHECK_FALSE(absent->present);
  CHECK(u->quantum_get("user:3", {.max = 1'001}).status() == op_code::invalid_argument);
  CHECK(u->quantum_get("").status() == op_code::invalid_argument);
}

TEST_CASE_METHOD(physics_fixture, "what was learned and declared is there after a restart",
                 "[actors][physics]") {
  auto u = open();
  REQUIRE(use(*u));
  wait_until([&] {
    REQUIRE(use(*u, 30, 1));
    return partners(*u, "user:3").contains("settings:3");
  });
  REQUIRE(u->entangle("user:3", std::vector<std::string>{"note:3"}, 0.7).ok());
  REQUIRE(u->set_physics_rule("a:* -> b:*", 0.5).ok());
  REQUIRE(u->stop().ok());
  u.reset();
  u.reset();
  u = open();
  CHECK(u->physics_status().loaded == "loaded");
  const auto found = partners(*u, "user:3");
  CHECK(found.contains("settings:3"));
  CHECK(found.at("note:3").strength == 0.7);
  CHECK(partners(*u, "a:1").at("b:1").declared);
  CHECK(u->set_physics_rule("a:* -> b:*", 0).ok());
  CHECK(u->set_physics_rule("a:* -> b:*", 0) == op_code::not_found);
}

TEST_CASE_METHOD(physics_fixture, "tiers switch while everybody is at work", "[actors][physics]") {
  auto u = open({.tier = physics_tier::t0});
  CHECK(u->entropy().status() == op_code::not_supported);
  CHECK(u->rebalance(true).status() == op_code::not_supported);
  CHECK(u->rebalance(false).status() == op_code::not_supported);
  REQUIRE(use(*u));
  CHECK_FALSE(u->engine().observes_accesses());
  CHECK(partners(*u, "user:3").empty());
  std::atomic<bool> over{false}, well{true};
  std::thread worker{[&] {
    while (!over)
      if (!use(*u, 10, 1)) well = false;
  }};
  for (int i = 0; i < 50; ++i) {
    u->set_physics_tier(static_cast<physics_tier>(i % 4));
    CHECK(u->engine().observes_accesses() == (i % 4 != 0));
    CHECK(u->physics_status().tier == static_cast<physics_tier>(i % 4));
    CHECK(u->entropy().ok() == (i % 4 >= 2));
  }
  u->set_physics_tier(physics_tier::t3);
  wait_until([&] { return u->physics_status().samples > 100 && u->entropy()->accesses_per_s > 0; });
  over = true;
  worker.join();
  CHECK(well);
  const auto shards = u->shards();
  REQUIRE(shards.ok());
  CHECK(shards->size() == 4);
  CHECK(std::ranges::any_of(*shards, [](const auto& s) { return s.mass > 0; }));
  CHECK(u->rebalance(true).ok());
  CHECK(u->metrics().find("warp_physics_tier 3") != std::string::npos);
}

TEST_CASE_METHOD(physics_fixture, "an observer that dies loses samples and nothing else",
                 "[actors][physics]") {
  auto u = open();
  REQUIRE(use(*u));
  wait_until([&] {
    REQUIRE(use(*u, 30, 1));
    return partners(*u, "user:3").contains("settings:3");
  });
  REQUIRE(u->chaos("universe/physics/observer").ok());
  CHECK(partners(*u, "user:3").contains("settings:3"));
  const auto before = u->physics_status().samples;
  wait_until([&] {
    REQUIRE(use(*u, 30, 1));
    return u->physics_status().samples > before;
  });
}

TEST_CASE_METHOD(physics_fixture, "mistakes in declarations are refused", "[actors][physics]") {
  auto u = open();
  using names = std::vector<std::string>;
  CHECK(u->entangle("a", names{}) == op_code::invalid_argument);
  CHECK(u->entangle("", names{"b"}) == op_code::invalid_argument);
  CHECK(u->entangle("a", names{"b", ""}) == op_code::invalid_argument);
  CHECK(u->entangle("a", names{"b"}, 1.5) == op_code::invalid_argument);
  CHECK(u->entangle("a", names{std::string(key_size_max + 1, 'k')}) == op_code::invalid_argument);
  CHECK(u->set_physics_rule("a -> b") == op_code::invalid_argument);
  CHECK(u->set_physics_rule("a:* -> b:*", 2) == op_code::invalid_argument);
  CHECK(partners(*u, "a").empty());
}
