#include "physics/window_assembly.hpp"
#include "tests/physics/seeded_random.hpp"

#include <catch2/catch_test_macros.hpp>

#include <cstring>
#include <map>
#include <set>
#include <string>
#include <vector>

using namespace warp::physics;

namespace {

access_sample sample(std::uint32_t window, const std::string& key, std::uint64_t time_ms = 0) {
  access_sample out;
  out.window = window;
  out.time_ms = time_ms;
  out.key_length = static_cast<std::uint8_t>(key.size());
  std::memcpy(out.key_bytes.data(), key.data(), key.size());
  return out;
}

using closed_windows = std::vector<std::pair<std::uint32_t, std::vector<std::string>>>;

auto into(closed_windows& out) {
  return [&out](const window_assembly::window& w) {
    std::vector<std::string> keys;
    for (const auto& a : w.accesses()) keys.push_back(a.key);
    out.emplace_back(w.id, keys);
  };
}

} // namespace

TEST_CASE("windows that come mixed are put together in the order of their accesses",
          "[physics][observer]") {
  seeded_random random;
  std::map<std::uint32_t, std::vector<std::string>> expected;
  closed_windows got;
  window_assembly windows{1000, 64};
  for (int i = 0; i < 2000; ++i) {
    const auto id = 1 + random.below(40);
    const auto key = "k" + std::to_string(i);
    expected[id].push_back(key);
    windows.add(sample(id, key, 10), into(got));
  }
  CHECK(got.empty());
  CHECK(windows.open() == expected.size());
  windows.close_until(9, into(got));
  CHECK(got.empty());
  windows.close_until(10, into(got));
  CHECK(windows.open() == 0);
  CHECK(std::map<std::uint32_t, std::vector<std::string>>(got.begin(), got.end()) == expected);
}

TEST_CASE("a window is closed when it is full, and the oldest when there are too many",
          "[physics][observer]") {
  closed_windows got;
  window_assembly windows{3, 2};
  for (const char* key : {"a", "b", "c"}) windows.add(sample(1, key, 5), into(got));
  REQUIRE(got.size() == 1);
  CHECK(got[0].second == std::vector<std::string>{"a", "b", "c"});
  windows.add(sample(2, "d", 7), into(got));
  windows.add(sample(3, "e", 6), into(got));
  windows.add(sample(4, "f", 8), into(got));
  REQUIRE(got.size() == 2);
  CHECK(got[1] == std::pair<std::uint32_t, std::vector<std::string>>{3, {"e"}});
  CHECK(windows.open() == 2);
}

TEST_CASE("keys have ids of their own, also those that differ in zeros and ends",
          "[physics][observer]") {
  std::set<std::uint64_t> ids;
  std::size_t count = 0;
  for (std::size_t length = 0; length < 40; ++length, ++count)
    ids.insert(key_id(std::string(length, '\0')));
  for (int i = 0; i < 10'000; ++i, ++count) ids.insert(key_id("user:" + std::to_string(i)));
  CHECK(ids.size() == count);
  CHECK(key_id("user:1") == key_id(std::string{"user:"} + "1"));
}
