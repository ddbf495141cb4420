#include "cluster/node/primary_balancer.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace warp;
using namespace warp::cluster;
using namespace warp::cluster::replication;

namespace {

constexpr node_id one{1}, two{2};

/// Node 1 is the primary of all, and of each node 2 is preferred.
struct shards {
  cluster_map map{.name = "c",
                  .self = one,
                  .nodes = {{.id = one, .live = true}, {.id = two, .live = true}},
                  .shards = {{5, one, {one, two}, {}}, {5, one, {one, two}, {}}}};
  std::vector<std::vector<node_id>> desired{{two, one}, {two, one}};
  primary_balancer balancer{2, {}};

  auto next(moment now, bool serves = true) {
    return balancer.next(
        map, desired, [&](shard_id) { return serves; }, now);
  }
};

} // namespace

TEST_CASE("balancer: a shard goes to the preferred node when it has stood still for a while") {
  shards s;
  CHECK_FALSE(s.next(10 * seconds));
  CHECK_FALSE(s.next(11 * seconds));
  const auto move = s.next(12 * seconds);
  REQUIRE(move);
  CHECK(move->first == shard_id{0});
  CHECK(move->second == two);
  // One at a time.
  CHECK_FALSE(s.next(12 * seconds + 50 * milliseconds));
  CHECK(s.next(12 * seconds + 100 * milliseconds)->first == shard_id{1});
  // What came to nothing is tried again, but not at once.
  CHECK_FALSE(s.next(13 * seconds));
  CHECK(s.next(14 * seconds)->first == shard_id{0});
}

TEST_CASE("balancer: an epoch that changes begins the wait anew") {
  shards s;
  CHECK_FALSE(s.next(10 * seconds));
  s.map.shards[0].epoch = s.map.shards[1].epoch = 6;
  CHECK_FALSE(s.next(12 * seconds));
  CHECK(s.next(14 * seconds));
}

TEST_CASE("balancer: nothing goes to a node that is away, or whose copy is not in sync") {
  shards away, out_of_sync, idle;
  away.map.nodes[1].live = false;
  out_of_sync.map.shards[0].isr = out_of_sync.map.shards[1].isr = {one};
  for (const moment now : {10 * seconds, 20 * seconds}) {
    CHECK_FALSE(away.next(now));
    CHECK_FALSE(out_of_sync.next(now));
    CHECK_FALSE(idle.next(now, false));
  }
}
