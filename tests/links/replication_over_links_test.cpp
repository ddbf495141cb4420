#include "tests/links/wired_replica.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <set>

using namespace warp;
using namespace warp::cluster::links;
namespace rep = warp::cluster::replication;

namespace {

struct three_nodes {
  rep::replication_options options = [] {
    rep::replication_options o;
    o.heartbeat = 20 * rep::milliseconds;
    o.resend = 50 * rep::milliseconds;
    o.lease = 200 * rep::milliseconds;
    o.member_timeout = 200 * rep::milliseconds;
    o.rank_delay = 50 * rep::milliseconds;
    o.authority_timeout = 100 * rep::milliseconds;
    return o;
  }();
  memory_authority etcd{{1, seat(1), {seat(1), seat(2), seat(3)}}};
  std::vector<std::unique_ptr<wired_replica>> nodes;

  static rep::member seat(std::uint32_t node) { return {node_id{node}, boot_id{1}}; }

  three_nodes() {
    for (std::uint32_t n = 1; n <= 3; ++n)
      nodes.push_back(std::make_unique<wired_replica>(test_identity(n), etcd, options));
    for (auto& a : nodes)
      for (auto& b : nodes) a->knows(*b);
    for (auto& n : nodes) n->start();
  }

  /// Who serves in the highest epoch; null: nobody within a minute.
  wired_replica* primary() {
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{60};
    while (std::chrono::steady_clock::now() < end) {
      wired_replica* best = nullptr;
      for (auto& n : nodes)
        if (n && n->serves() != 0 && (!best || n->serves() > best->serves())) best = n.get();
      if (best) return best;
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    return nullptr;
  }

  /// Writes with retries, as a client does; a body may be committed twice. False: not done.
  bool write(const std::string& body) {
    for (int i = 0; i < 1'000; ++i) {
      auto* p = primary();
      if (!p) return false;
      const auto answer = p->answer_of(p->write(body));
      if (answer == op_code::ok) return true;
      if (!answer) return false;
      std::this_thread::sleep_for(std::chrono::milliseconds{1});
    }
    return false;
  }
};

bool holds_all(wired_replica& node, const std::set<std::string>& acknowledged) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds{60};
  while (std::chrono::steady_clock::now() < end) {
    const auto there = node.committed();
    const std::set<std::string> have{there.begin(), there.end()};
    if (std::ranges::includes(have, acknowledged)) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds{2});
  }
  return false;
}

} // namespace

TEST_CASE("what is acknowledged over the real network outlives its primary",
          "[links][replication]") {
  three_nodes cluster;
  std::set<std::string> acknowledged;
  const auto write = [&](int from, int to) {
    for (int i = from; i < to; ++i) {
      const auto body = "record " + std::to_string(i);
      REQUIRE(cluster.write(body));
      acknowledged.insert(body);
    }
  };
  write(0, 100);
  auto* first = cluster.primary();
  REQUIRE(first);
  const auto first_epoch = first->serves();
  for (auto& n : cluster.nodes)
    if (n.get() == first) {
      n->stop();
      n = nullptr;
    }
  auto* second = cluster.primary();
  REQUIRE(second);
  CHECK(second->serves() > first_epoch);
  write(100, 150);
  for (auto& n : cluster.nodes)
    if (n) {
      CHECK(holds_all(*n, acknowledged));
      CHECK(n->broken().empty());
    }
  std::uint64_t sent = 0;
  for (const auto& link : second->links()) {
    sent += link.messages_sent;
    CHECK(link.malformed == 0);
  }
  CHECK(sent > 0);
}
