#include "physics/sample_ring.hpp"

#include <catch2/catch_test_macros.hpp>

#include <atomic>
#include <thread>
#include <vector>

using namespace warp::physics;

namespace {

bool push(sample_ring& ring, std::uint64_t number) {
  auto* const to = ring.claim();
  if (!to) return false;
  to->key_hash = number;
  to->time_ms = ~number;
  ring.publish();
  return true;
}

std::vector<std::uint64_t> drained(sample_ring& ring) {
  std::vector<std::uint64_t> out;
  ring.drain([&](std::span<const access_sample> samples) {
    for (const auto& s : samples) out.push_back(s.key_hash);
  });
  return out;
}

} // namespace

TEST_CASE("a ring gives samples in order, wherever its end lies, and drops what it has no room for",
          "[physics][observer]") {
  sample_ring ring{5};
  CHECK(ring.capacity() == 8);
  CHECK(drained(ring).empty());
  std::uint64_t next = 0, expected = 0;
  for (std::size_t round = 0; round < 20; ++round) {
    for (std::size_t i = 0; i < 1 + round % 8; ++i) REQUIRE(push(ring, next++));
    for (const auto number : drained(ring)) REQUIRE(number == expected++);
  }
  CHECK(expected == next);
  for (int i = 0; i < 8; ++i) REQUIRE(push(ring, next++));
  CHECK_FALSE(push(ring, 1'000'000));
  CHECK(drained(ring).size() == 8);
  CHECK(push(ring, 1'000'000));
}

TEST_CASE("two threads hand samples over whole and in order", "[physics][observer]") {
  constexpr std::uint64_t count = 50'000;
  sample_ring ring{64};
  std::atomic<bool> done{false};
  std::thread taker([&] {
    for (std::uint64_t i = 0; i < count;)
      if (push(ring, i))
        ++i;
      else
        std::this_thread::yield();
    done = true;
  });
  std::uint64_t expected = 0;
  bool whole = true;
  for (bool last = false; !last;) {
    last = done;
    ring.drain([&](std::span<const access_sample> samples) {
      for (const auto& s : samples) {
        whole = whole && s.key_hash == expected && s.time_ms == ~expected;
        ++expected;
      }
    });
    std::this_thread::yield();
  }
  taker.join();
  CHECK(whole);
  CHECK(expected == count);
}
