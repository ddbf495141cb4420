#include "cluster/etcd/endpoint_ring.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace warp::cluster::etcd;
using namespace std::chrono_literals;

namespace {
const endpoint_ring::clock::time_point start{std::chrono::hours{1}};
}

TEST_CASE("the endpoint that answered is asked again, until it fails", "[etcd]") {
  endpoint_ring ring{3, 50ms, 1'000ms, 1};
  ring.succeeded(1);
  CHECK(ring.choose(start).endpoint == 1);
  ring.failed(1, start);
  CHECK(ring.choose(start).endpoint == 2);
  CHECK(ring.choose(start).not_before <= start);
  ring.failed(2, start);
  CHECK(ring.choose(start).endpoint == 0);
  ring.failed(0, start);
  // All failed: the one whose pause ends first, not before.
  const auto next = ring.choose(start);
  CHECK(next.not_before >= start + 25ms);
  CHECK(next.not_before <= start + 50ms);
  CHECK(ring.choose(start + 50ms).not_before <= start + 50ms);
}

TEST_CASE("pauses double up to their bound, are never the same for all, and end with a success",
          "[etcd]") {
  endpoint_ring ring{1, 50ms, 1'000ms, 2}, other{1, 50ms, 1'000ms, 3};
  auto now = start;
  auto bound = 50ms;
  for (int i = 0; i < 40; ++i) {
    ring.failed(0, now);
    other.failed(0, now);
    const auto pause = ring.choose(now).not_before - now;
    CHECK(pause >= bound / 2);
    CHECK(pause <= bound);
    CHECK(pause != other.choose(now).not_before - now);
    // Others that failed at the same time make it no longer.
    ring.failed(0, now);
    CHECK(ring.choose(now).not_before - now == pause);
    now += bound;
    bound = std::min<std::chrono::milliseconds>(bound * 2, 1'000ms);
  }
  ring.succeeded(0);
  CHECK(ring.choose(now).not_before <= now);
  ring.failed(0, now);
  CHECK(ring.choose(now).not_before <= now + 50ms);
}
