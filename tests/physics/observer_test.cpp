#include "physics/mixing.hpp"
#include "physics/observer.hpp"

#include <catch2/catch_test_macros.hpp>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

using namespace warp::physics;

namespace {

std::vector<access_sample> drained(observer& from, observer::drained* counts = nullptr) {
  std::vector<access_sample> out;
  const auto done = from.drain([&](std::span<const access_sample> samples) {
    out.insert(out.end(), samples.begin(), samples.end());
  });
  if (counts) *counts = done;
  return out;
}

void read(observer& by, std::uint64_t number, std::uint64_t now_ms) {
  by.observe(mix(number), "key:" + std::to_string(number), 3, 100, access_kind::read, now_ms);
}

/// No budget, no keys alone: what windows do.
observer_options windows_only(std::uint32_t one_in) {
  return {.windows_one_in = one_in,
          .keys_one_in = 1'000'000'000,
          .samples_per_s_max = 1'000'000'000,
          .capacity = 1 << 16};
}

} // namespace

TEST_CASE("a sample says all of an access, and a key too long for it is left out",
          "[physics][observer]") {
  observer watching{windows_only(1)};
  const std::string longest(access_sample::key_length_max, 'k'), longer = longest + "k";
  watching.begin_request(2, 1234);
  watching.observe(7, longest, 5, std::size_t{1} << 40, access_kind::write, 1235);
  watching.observe(8, longer, 6, 0, access_kind::remove, 1236);
  const auto samples = drained(watching);
  REQUIRE(samples.size() == 2);
  CHECK(samples[0].key_hash == 7);
  CHECK(samples[0].key() == longest);
  CHECK(samples[0].shard == 5);
  CHECK(samples[0].bytes == ~std::uint32_t{0});
  CHECK(samples[0].kind == access_kind::write);
  CHECK(samples[0].time_ms == 1235);
  CHECK(samples[0].together);
  CHECK(samples[0].window != 0);
  CHECK(samples[1].window == samples[0].window);
  CHECK(samples[1].key().empty());
  CHECK(samples[1].kind == access_kind::remove);
}

TEST_CASE("one request window in 16 is taken, whole", "[physics][observer]") {
  observer watching{windows_only(16)};
  constexpr int requests = 32'000;
  std::map<std::uint32_t, std::vector<std::uint64_t>> windows;
  std::uint64_t accesses = 0;
  for (int r = 0; r < requests; ++r) {
    watching.begin_request(5, static_cast<std::uint64_t>(r));
    for (std::uint64_t k = 0; k < 5; ++k) read(watching, static_cast<std::uint64_t>(r) * 5 + k, 9);
    if (r % 1000 != 999) continue;
    observer::drained counts;
    for (const auto& s : drained(watching, &counts)) windows[s.window].push_back(s.key_hash);
    accesses += counts.accesses;
    REQUIRE(counts.dropped == 0);
  }
  // The choice is the seed's, the same in every run: 2000 expected.
  CHECK(windows.size() > 1800);
  CHECK(windows.size() < 2200);
  for (const auto& [id, keys] : windows) REQUIRE(keys.size() == 5);
  CHECK(accesses == requests * 5);
}

TEST_CASE("every access of one key in 100 is taken, whatever its window", "[physics][observer]") {
  observer watching{
      {.windows_one_in = 1'000'000'000, .samples_per_s_max = 1'000'000'000, .capacity = 1 << 16}};
  constexpr std::uint64_t keys = 20'000, rounds = 5;
  for (std::uint64_t round = 0; round < rounds; ++round)
    for (std::uint64_t k = 0; k < keys; ++k) read(watching, k, round * 1000);
  std::map<std::uint64_t, std::size_t> seen;
  for (const auto& s : drained(watching)) {
    REQUIRE(s.watched);
    REQUIRE(s.window == 0);
    ++seen[s.key_hash];
  }
  CHECK(seen.size() > 120); // 200 expected; the choice is the seed's
  CHECK(seen.size() < 300);
  for (const auto& [key, count] : seen) REQUIRE(count == rounds);
}

TEST_CASE("a connection has one window within 50 ms, though others come between",
          "[physics][observer]") {
  observer watching{windows_only(1)};
  std::map<std::uint64_t, std::set<std::uint32_t>> windows;
  for (std::uint64_t now_ms = 100; now_ms < 150; ++now_ms)
    for (std::uint64_t connection = 1; connection <= 3; ++connection) {
      watching.begin_stream(connection, now_ms);
      read(watching, connection, now_ms);
    }
  for (const auto& s : drained(watching)) {
    windows[s.key_hash].insert(s.window);
    CHECK_FALSE(s.together);
  }
  std::set<std::uint32_t> all;
  for (const auto& [key, ids] : windows) {
    CHECK(ids.size() == 1);
    all.insert(ids.begin(), ids.end());
  }
  CHECK(all.size() == 3);
  watching.begin_stream(1, 150);
  read(watching, 1, 150);
  const auto later = drained(watching);
  REQUIRE(later.size() == 1);
  CHECK_FALSE(all.contains(later[0].window));
}

TEST_CASE("a fast connection has windows of 64 accesses, also when nobody begins one",
          "[physics][observer]") {
  observer watching{windows_only(1)};
  for (std::uint64_t i = 0; i < 640; ++i) read(watching, i, 5);
  std::map<std::uint32_t, int> windows;
  for (const auto& s : drained(watching)) ++windows[s.window];
  CHECK(windows.size() == 10);
  for (const auto& [id, count] : windows) CHECK(count == 64);
}

TEST_CASE("samples keep to their budget, all through a second and in the next",
          "[physics][observer]") {
  observer watching{{.windows_one_in = 1, .samples_per_s_max = 2'000, .capacity = 1 << 16}};
  constexpr std::uint64_t seconds = 3, a_ms = 200;
  std::map<std::uint64_t, std::size_t> taken; // by 100 ms
  std::size_t all = 0;
  for (std::uint64_t i = 0; i < seconds * 1000 * a_ms; ++i) read(watching, i, 10 + i / a_ms);
  for (const auto& s : drained(watching)) {
    ++taken[s.time_ms / 100];
    ++all;
  }
  CHECK(taken.size() >= seconds * 10);
  for (const auto& [at, count] : taken) CHECK(count <= 400 + 64); // a begun window is finished
  CHECK(all <= seconds * 2'000 + 200 + 64);
  CHECK(all >= seconds * 2'000 - 200);
}

TEST_CASE("what a full buffer has no room for is dropped and counted", "[physics][observer]") {
  auto options = windows_only(1);
  options.capacity = 128;
  observer watching{options};
  for (std::uint64_t i = 0; i < 1'000; ++i) read(watching, i, 1);
  observer::drained counts;
  const auto samples = drained(watching, &counts);
  CHECK(samples.size() == 128);
  CHECK(counts.samples == 128);
  CHECK(counts.dropped == 1'000 - 128);
  CHECK(counts.accesses > 900);
  for (std::size_t i = 0; i < samples.size(); ++i)
    REQUIRE(samples[i].key() == "key:" + std::to_string(i));
}

TEST_CASE("two threads' windows have different names, and watch the same keys",
          "[physics][observer]") {
  auto options = windows_only(1);
  options.keys_one_in = 10;
  options.windows_one_in = 4;
  observer one{options};
  options.source = 1;
  observer other{options};
  std::set<std::uint32_t> ones, others;
  for (std::uint64_t i = 0; i < 6'400; ++i) {
    REQUIRE(one.is_watched(mix(i)) == other.is_watched(mix(i)));
    read(one, i, 7);
    read(other, i, 7);
  }
  for (const auto& s : drained(one)) ones.insert(s.window);
  for (const auto& s : drained(other)) others.insert(s.window);
  ones.erase(0);
  others.erase(0);
  CHECK(ones.size() > 5);
  CHECK(others.size() > 5);
  for (const auto id : ones) CHECK_FALSE(others.contains(id));
}

TEST_CASE("a request's accesses in two steps are what they are in one", "[physics][observer]") {
  auto options = windows_only(4);
  options.keys_one_in = 20;
  observer one{options}, other{options};
  for (std::uint64_t r = 0; r < 500; ++r) {
    one.begin_request(6, r);
    other.begin_request(6, r);
    for (std::uint64_t i = r * 6; i < r * 6 + 6; ++i) {
      read(one, i, r);
      if (other.wants(mix(i)))
        other.take(mix(i), "key:" + std::to_string(i), 3, 100, access_kind::read, r);
    }
  }
  observer::drained by_one, by_two;
  const auto ones = drained(one, &by_one), twos = drained(other, &by_two);
  CHECK(by_one.accesses == 3'000);
  CHECK(by_two.accesses == 3'000);
  REQUIRE(ones.size() == twos.size());
  for (std::size_t i = 0; i < ones.size(); ++i) {
    REQUIRE(ones[i].key_hash == twos[i].key_hash);
    REQUIRE(ones[i].window == twos[i].window);
  }
}
