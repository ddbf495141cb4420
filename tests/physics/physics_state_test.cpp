#include "physics/mixing.hpp"
#include "physics/observer.hpp"
#include "physics/physics_state.hpp"
#include "tests/physics/seeded_random.hpp"

#include <catch2/catch_approx.hpp>
#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

using namespace warp::physics;
using Catch::Approx;
using texts = std::vector<std::string>;

namespace {

constexpr std::uint64_t begin_ms = 1'700'000'000'000;

void learn_from(physics_state& state, observer& from) {
  std::vector<access_sample> samples;
  const auto done = from.drain([&](std::span<const access_sample> piece) {
    samples.insert(samples.end(), piece.begin(), piece.end());
  });
  state.learn(samples, done.accesses);
}

observer_options every_window() {
  return {.windows_one_in = 1, .samples_per_s_max = 1'000'000, .capacity = 1 << 14};
}

/// A user's page: user, profile and settings in one request; now and then anything.
struct application {
  observer watching{every_window()};
  mixed_sequence random{1};
  std::uint64_t now_ms = begin_ms;

  void access(const std::string& key, std::size_t bytes = 100) {
    const auto id = key_id(key);
    watching.observe(id, key, static_cast<std::uint32_t>(id % 8), bytes, access_kind::read, now_ms);
  }
  void request(std::uint32_t user, std::size_t accesses = 4) {
    watching.begin_request(accesses, now_ms);
    for (const char* part : {"user:", "profile:", "settings:"}) access(part + std::to_string(user));
    access("page:" + std::to_string(random.below(500)));
  }
  void live(physics_state& state, int requests, std::uint64_t ms_between = 5) {
    for (int i = 0; i < requests; ++i, now_ms += ms_between) {
      request(random.below(50));
      if (i % 50 == 49) learn_from(state, watching);
    }
    learn_from(state, watching);
    state.finish_windows();
  }
};

physics_options small() {
  return {.shards = 8, .entanglement = {.keys_max = 2048}};
}

texts keys_of(const std::vector<related_key>& related) {
  texts out;
  for (const auto& r : related) out.push_back(r.key);
  std::ranges::sort(out);
  return out;
}

} // namespace

TEST_CASE("what one request asks for together belongs together, by name", "[physics][state]") {
  physics_state state{small()};
  application app;
  app.live(state, 5000);
  for (int user = 0; user < 50; ++user) {
    const auto n = std::to_string(user);
    const auto found = state.quantum_get("user:" + n, 10, 0.5);
    REQUIRE(keys_of(found) == texts{"profile:" + n, "settings:" + n});
    for (const auto& f : found) {
      CHECK(f.strength > 0.9);
      CHECK(f.strength <= 1);
      CHECK_FALSE(f.declared);
    }
  }
  CHECK(state.quantum_get("user:1", 1).size() == 1);
  CHECK(state.quantum_get("nobody").empty());
}

TEST_CASE("declared links and rules stand beside what was learned", "[physics][state]") {
  physics_state state{small()};
  state.entangle("user:7", texts{"wallet:7", "user:7"}, 0.9);
  REQUIRE(state.add_rule("user:* -> profile:*, cart:*", 0.6));
  CHECK_FALSE(state.add_rule("user:*"));
  CHECK_FALSE(state.add_rule("user:* -> profile:*", 1.5));
  auto found = state.quantum_get("user:7");
  REQUIRE(keys_of(found) == texts{"cart:7", "profile:7", "wallet:7"});
  CHECK(found[0].key == "wallet:7");
  for (const auto& f : found) CHECK(f.declared);
  CHECK(keys_of(state.quantum_get("user:7", 10, 0.7)) == texts{"wallet:7"});
  REQUIRE(state.add_rule("user:* -> profile:*, cart:*", 0.95));
  CHECK(state.quantum_get("user:7").size() == 3);
  CHECK(state.quantum_get("user:7")[2].key == "wallet:7");
  state.entangle("user:7", texts{"wallet:7"}, 0);
  CHECK(keys_of(state.quantum_get("user:7")) == texts{"cart:7", "profile:7"});

  application app;
  app.live(state, 2000);
  found = state.quantum_get("user:7", 10, 0.5);
  CHECK(keys_of(found) == texts{"cart:7", "profile:7", "settings:7"}); // each once
}

TEST_CASE("the masses of the shards are the accesses that samples stand for, and decay",
          "[physics][state]") {
  physics_state state{small()};
  application app;
  app.live(state, 50'000, 20); // 1000 s, 200 accesses a second of 100 bytes
  double accesses = 0, bytes = 0, mass = 0;
  const auto masses = state.masses(app.now_ms);
  REQUIRE(masses.size() == 8);
  for (const auto& m : masses) {
    accesses += m.accesses_per_s;
    bytes += m.bytes_per_s;
    mass += m.mass;
  }
  const double full = 1 - decay_factor(1000, 300);
  CHECK(accesses == Approx(200 * full).epsilon(0.02));
  CHECK(bytes == Approx(20'000 * full).epsilon(0.02));
  CHECK(mass == Approx(bytes / 1024));
  const auto later = state.masses(app.now_ms + 300'000);
  for (std::size_t i = 0; i < 8; ++i)
    CHECK(later[i].accesses_per_s == Approx(masses[i].accesses_per_s / 2));
  const auto balance = state.entropy(app.now_ms);
  CHECK(balance.evenness > 0);
  CHECK(balance.evenness <= 1);
  CHECK(balance.entropy_bits == Approx(balance.evenness * 3));
  CHECK(balance.max_over_mean >= 1);
  CHECK(balance.divergence_bits >= 0);
  CHECK(state.entropy_of_bytes(app.now_ms).evenness == Approx(balance.evenness).epsilon(0.01));
}

TEST_CASE("without samples the universe is even, and accesses wait for a sample that tells their "
          "shard",
          "[physics][state]") {
  physics_state state{small()};
  CHECK(state.entropy(begin_ms).evenness == 1);
  CHECK(state.plan({}, begin_ms).moves.empty());
  state.learn({}, 1000);
  CHECK(state.masses(begin_ms)[3].accesses_per_s == 0);
  access_sample s;
  s.time_ms = begin_ms;
  s.window = 1;
  s.shard = 3;
  state.learn({&s, 1}, 24);
  CHECK(state.masses(begin_ms)[3].accesses_per_s ==
        Approx(decayed_count{300}.rate(0) + 1024 * std::log(2.0) / 300));
  s.shard = 8; // there is none
  state.learn({&s, 1}, 0);
  CHECK(state.masses(begin_ms)[3].accesses_per_s == Approx(1024 * std::log(2.0) / 300));
}

TEST_CASE("the plan moves known keys off the fullest shard and makes the load more even",
          "[physics][state]") {
  physics_state state{small()};
  application app;
  // Twelve hot keys that all live in one shard.
  texts hot;
  for (int i = 0; hot.size() < 12; ++i)
    if (const auto key = "hot:" + std::to_string(i); key_id(key) % 8 == 5) hot.push_back(key);
  for (int i = 0; i < 3000; ++i, app.now_ms += 5) {
    app.request(app.random.below(50), 10);
    for (int k = 0; k < 6; ++k) app.access(hot[app.random.below(hot.size())]);
    if (i % 50 == 49) learn_from(state, app.watching);
  }
  REQUIRE(state.entropy(app.now_ms).max_over_mean > 2);
  const auto plan = state.plan({}, app.now_ms);
  REQUIRE(!plan.moves.empty());
  CHECK(plan.predicted.max_over_mean_after < plan.predicted.max_over_mean_before);
  CHECK(plan.predicted.max_over_mean_after <= 1.2);
  for (const auto& m : plan.moves) {
    CHECK(m.from == key_id(m.key) % 8);
    CHECK(m.to != m.from);
    CHECK(m.to < 8);
    CHECK(m.bytes > 0);
  }
}

TEST_CASE("learning is the same for the same samples", "[physics][state]") {
  physics_state one{small()}, other{small()};
  application first, second;
  first.live(one, 2000);
  second.live(other, 2000);
  CHECK(one.save() == other.save());
}

TEST_CASE("what was learned is there after a restart, and learning goes on", "[physics][state]") {
  physics_state before{small()};
  application app;
  before.entangle("user:7", texts{"wallet:7"}, 0.9);
  REQUIRE(before.add_rule("cart:* -> order:*", 0.7));
  app.live(before, 3000);
  const auto bytes = before.save();

  physics_state after{small()};
  REQUIRE(after.load(bytes) == physics_state::load_outcome::loaded);
  CHECK(after.save() == bytes);
  for (const char* key : {"user:7", "user:8", "profile:9", "cart:1", "page:3"}) {
    const auto a = before.quantum_get(key), b = after.quantum_get(key);
    REQUIRE(a.size() == b.size());
    for (std::size_t i = 0; i < a.size(); ++i) {
      CHECK(a[i].key == b[i].key);
      CHECK(a[i].strength == b[i].strength);
      CHECK(a[i].declared == b[i].declared);
    }
  }
  for (std::size_t i = 0; i < 8; ++i)
    CHECK(after.masses(app.now_ms)[i].accesses_per_s ==
          Approx(before.masses(app.now_ms)[i].accesses_per_s));
  app.live(after, 500);
  CHECK(after.quantum_get("user:7", 10, 0.5).size() == 3);
}

TEST_CASE("a state with other limits takes what it has room for", "[physics][state]") {
  physics_state before{small()};
  application app;
  app.live(before, 1000);
  const auto bytes = before.save();
  physics_state fewer_shards{{.shards = 2, .entanglement = {.keys_max = 2048, .partners_max = 4}}};
  REQUIRE(fewer_shards.load(bytes) == physics_state::load_outcome::loaded);
  CHECK(fewer_shards.masses(app.now_ms).size() == 2);
  CHECK(!fewer_shards.quantum_get("user:7").empty());
  physics_state too_small{{.shards = 8, .entanglement = {.keys_max = 16}}};
  CHECK(too_small.load(bytes) == physics_state::load_outcome::damaged);
  CHECK(too_small.quantum_get("user:7").empty());
}

TEST_CASE("damaged bytes are refused wherever the damage is, and change nothing",
          "[physics][state]") {
  seeded_random random;
  physics_state learned{small()};
  application app;
  learned.entangle("a", texts{"b"}, 0.5);
  app.live(learned, 200);
  const auto bytes = learned.save();
  physics_state victim{small()};
  victim.entangle("x", texts{"y"}, 0.5);
  const auto unharmed = victim.save();
  const auto refused = [&](std::string_view damaged) {
    return victim.load(damaged) != physics_state::load_outcome::loaded;
  };
  CHECK(refused(""));
  for (std::size_t i = 0; i < 64; ++i) {
    REQUIRE(refused(std::string_view{bytes}.substr(0, i)));
    auto flipped = bytes;
    flipped[i] = static_cast<char>(flipped[i] ^ 1 << i % 8);
    REQUIRE(refused(flipped));
  }
  for (int i = 0; i < 300; ++i) {
    REQUIRE(refused(
        std::string_view{bytes}.substr(0, random.below(static_cast<std::uint32_t>(bytes.size())))));
    auto flipped = bytes;
    auto& at = flipped[random.below(static_cast<std::uint32_t>(bytes.size()))];
    at = static_cast<char>(at ^ 1 << random.below(8));
    REQUIRE(refused(flipped));
  }
  REQUIRE(refused(bytes + '\0'));
  auto newer = bytes;
  newer[8] = 2;
  CHECK(victim.load(newer) == physics_state::load_outcome::other_version);
  CHECK(victim.save() == unharmed);
}

TEST_CASE("bytes that are whole but mean nothing are refused", "[physics][state]") {
  // What a check can't see: parts that contradict each other, read by the parts' own loaders.
  seeded_random random;
  entanglement_index learned{{.keys_max = 64, .partners_max = 4}};
  for (int i = 0; i < 200; ++i) {
    const std::vector<std::uint64_t> window{random.below(90), random.below(90), random.below(90)};
    learned.observe(window, i);
  }
  byte_writer out;
  learned.save(out);
  for (int i = 0; i < 2000; ++i) {
    auto bytes = out.bytes();
    for (std::uint32_t n = 0; n <= random.below(4); ++n)
      bytes[random.below(static_cast<std::uint32_t>(bytes.size()))] =
          static_cast<char>(random.below(256));
    byte_reader in{bytes};
    entanglement_index target{{.keys_max = 64, .partners_max = 4}};
    if (!target.load(in)) {
      REQUIRE(target.keys().size() == 0);
      continue;
    }
    for (std::uint64_t key = 0; key < 90; ++key)
      for (const auto& p : target.partners(key, 10, 0)) {
        REQUIRE(p.strength >= 0);
        REQUIRE(p.strength <= 1);
      }
  }
}

TEST_CASE("loads that are counted exactly are the shards' loads, and samples add nothing",
          "[physics][state]") {
  physics_state state{small()};
  application app;
  std::vector<access_sample> samples;
  for (int i = 0; i < 100; ++i) app.request(1);
  app.watching.drain([&](std::span<const access_sample> piece) {
    samples.insert(samples.end(), piece.begin(), piece.end());
  });
  REQUIRE_FALSE(samples.empty());
  std::vector<shard_use> used(8);
  used[2] = {.accesses = 300, .bytes = 3'000};
  used[5] = {.accesses = 100, .bytes = 1'000};
  for (int second = 0; second < 3'000; ++second) {
    state.learn(samples, 0);
    state.add_loads(used, begin_ms + 1'000 * static_cast<std::uint64_t>(second));
  }
  const auto masses = state.masses(begin_ms + 3'000'000);
  CHECK(masses[2].accesses_per_s == Approx(300).epsilon(0.01));
  CHECK(masses[2].bytes_per_s == Approx(3'000).epsilon(0.01));
  CHECK(masses[5].accesses_per_s == Approx(100).epsilon(0.01));
  CHECK(masses[0].accesses_per_s == 0);
  CHECK(state.entropy(begin_ms + 3'000'000).max_over_mean == Approx(6).epsilon(0.01));
}

TEST_CASE("a rule that is taken back is gone, and the others stay", "[physics][state]") {
  physics_state state{small()};
  REQUIRE(state.add_rule("a:* -> b:*", 0.5));
  REQUIRE(state.add_rule("a:* -> c:*"));
  CHECK(state.remove_rule("a:* -> b:*"));
  CHECK_FALSE(state.remove_rule("a:* -> b:*"));
  CHECK(state.rules() == std::vector<std::pair<std::string, double>>{{"a:* -> c:*", 0.8}});
  REQUIRE(state.quantum_get("a:1").size() == 1);
  CHECK(state.quantum_get("a:1")[0].key == "c:1");
  state.entangle("a:1", texts{"d", "e"}, 1);
  CHECK(state.declared() == 2);
}
