#include "cluster/etcd/blocking_calls.hpp"
#include "tests/node/live_cluster.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <fmt/format.h>

using namespace warp;
using namespace warp::testing;
using Catch::Matchers::ContainsSubstring;
using cluster::cluster_operator;
using cluster::replication::node_id;
using namespace std::chrono_literals;

namespace {

std::unique_ptr<cluster_operator> operator_of(const etcd_process& etcd) {
  auto made = cluster_operator::connect("c", {.endpoints = {etcd.endpoint()}});
  REQUIRE(made);
  return std::move(*made);
}

/// An etcd and nodes 1 to `count` of a cluster with four shards, all in sync.
struct whole_cluster {
  etcd_process etcd;
  std::unique_ptr<cluster_operator> of = operator_of(etcd);
  std::vector<std::unique_ptr<live_node>> nodes;

  explicit whole_cluster(std::uint32_t count, std::uint32_t rf = 3) {
    std::vector<node_id> ids;
    for (std::uint32_t i = 1; i <= count; ++i) ids.emplace_back(i);
    REQUIRE(
        of->init({ids, 4, rf, std::min(rf, 2u), cluster::replication::ack_level::durable}).ok());
    for (const auto id : ids)
      nodes.push_back(std::make_unique<live_node>(id.value, etcd.endpoint()));
    REQUIRE(comes_true([&] { return in_sync(rf); }));
  }
  bool in_sync(std::size_t copies) {
    const auto now = of->look();
    if (!now || now->shards.size() != 4) return false;
    for (const auto& [id, e] : now->shards)
      if (e.value.isr.size() != copies) return false;
    for (const auto key : {"a", "b", "c", "d", "e", "f"})
      if (!server_of(key, nodes)) return false;
    return true;
  }
  live_node& server(std::string_view key) {
    REQUIRE(comes_true([&] { return server_of(key, nodes) != nullptr; }));
    return *server_of(key, nodes);
  }
  /// As a client does it: goes to whoever serves, as long as it was not done.
  op_code put(std::string_view key, std::string_view value) {
    auto code = op_code::unavailable;
    REQUIRE(comes_true([&] {
      if (auto* n = server_of(key, nodes)) code = n->put(key, value);
      return code != op_code::unavailable && code != op_code::no_replicas;
    }));
    return code;
  }
  std::string get(std::string_view key) {
    std::pair<op_code, std::string> got;
    REQUIRE(comes_true([&] {
      auto* const n = server_of(key, nodes);
      got = n ? n->get(key) : std::pair{op_code::unavailable, std::string{}};
      return got.first == op_code::ok || got.first == op_code::not_found;
    }));
    return got.second;
  }
};

} // namespace

TEST_CASE("what one node acknowledges, the others have when it stops") {
  whole_cluster c{3};
  for (int i = 0; i < 200; ++i)
    REQUIRE(c.put(fmt::format("key{}", i), fmt::format("value{}", i)) == op_code::ok);
  c.nodes[0]->stop();
  c.nodes[0].reset();
  for (int i = 0; i < 200; ++i) CHECK(c.get(fmt::format("key{}", i)) == fmt::format("value{}", i));
  CHECK(c.put("key0", "later") == op_code::ok);
}

TEST_CASE("who stops and starts again is in sync again, and gets its shards back") {
  whole_cluster c{3};
  auto& first = *c.nodes[0];
  std::string own; // a key that the first node serves
  for (int i = 0; own.empty(); ++i)
    if (first.serves(fmt::format("key{}", i))) own = fmt::format("key{}", i);
  REQUIRE(c.put(own, "before") == op_code::ok);
  first.stop();
  {
    auto away = std::move(c.nodes[0]);
    CHECK(c.put(own, "meanwhile") == op_code::ok);
    c.nodes[0] = std::move(away);
  }
  c.nodes[0]->start();
  REQUIRE(comes_true([&] { return c.in_sync(3) && c.nodes[0]->serves(own); }));
  CHECK(c.get(own) == "meanwhile");
}

TEST_CASE("a node that hands over serves nothing, and others do at once") {
  whole_cluster c{3};
  auto& first = *c.nodes[0];
  std::vector<std::string> own; // keys that the first node serves
  for (int i = 0; own.size() < 3; ++i)
    if (first.serves(fmt::format("key{}", i))) own.push_back(fmt::format("key{}", i));
  for (const auto& key : own) REQUIRE(first.put(key, "before") == op_code::ok);
  first.node().hand_over(20s);
  for (const auto& key : own) CHECK_FALSE(first.serves(key));
  first.stop();
  c.nodes[0].reset();
  for (const auto& key : own) CHECK(c.get(key) == "before");

  // Alone there is nobody to give anything to, and it does not wait for one.
  whole_cluster alone{1, 1};
  alone.nodes[0]->node().hand_over(20s);
  CHECK(alone.nodes[0]->serves("a"));
}

TEST_CASE("an operator moves a primary, takes a node away and gives it back") {
  whole_cluster c{3, 2};
  REQUIRE(c.put("a", "1") == op_code::ok);
  const auto shard = c.nodes[0]->engine().shard_of("a");
  const auto now = c.of->look();
  REQUIRE(now);
  const auto wanted = now->desired->value.shards[shard.value];
  REQUIRE(wanted.size() == 2);
  CHECK(c.of->switch_over(shard, wanted[1], 30s).ok());
  REQUIRE(comes_true([&] { return c.nodes[wanted[1].value - 1]->serves("a"); }));
  CHECK(c.get("a") == "1");

  REQUIRE(c.of->leave(wanted[1]).ok());
  REQUIRE(comes_true([&] {
    const auto seen = c.of->look();
    if (!seen) return false;
    for (const auto& [id, e] : seen->shards)
      if (e.value.boot_of(wanted[1]) || e.value.isr.size() != 2) return false;
    return true;
  }));
  CHECK(c.get("a") == "1");
  REQUIRE(c.of->join(wanted[1], "").ok());
  REQUIRE(comes_true([&] { return c.in_sync(2); }));
  CHECK(c.get("a") == "1");
}

TEST_CASE("reads and writes go on while etcd is away") {
  whole_cluster c{3};
  REQUIRE(c.put("a", "1") == op_code::ok);
  c.etcd.kill();
  for (int i = 0; i < 50; ++i) {
    REQUIRE(c.put("a", fmt::format("{}", i)) == op_code::ok);
    REQUIRE(c.get("a") == fmt::format("{}", i));
  }
  c.etcd.start();
  c.nodes[2]->stop();
  c.nodes[2].reset();
  CHECK(c.put("a", "last") == op_code::ok);
  CHECK(c.get("a") == "last");
}

TEST_CASE("a key in etcd that was edited by hand is told of, and what was known stands") {
  whole_cluster c{1, 1};
  REQUIRE(c.put("a", "1") == op_code::ok);
  auto client = cluster::etcd::client::create({.connection = {.endpoints = {c.etcd.endpoint()}}});
  REQUIRE(client);
  const auto shard = c.nodes[0]->engine().shard_of("a");
  REQUIRE(cluster::etcd::put_now(**client, {fmt::format("/warp/c/shards/{}", shard.value),
                                            "{\"version\":1,\"epoch\":\"many\"}", 0}));
  const auto refused = [&] {
    std::vector<actors::metric> metrics;
    c.nodes[0]->node().collect(metrics);
    for (const auto& m : metrics)
      if (m.name == "warp_cluster_keys_refused") return m.values[0].value == 1;
    return false;
  };
  CHECK(comes_true(refused));
  CHECK(c.put("a", "2") == op_code::ok);
  CHECK(c.get("a") == "2");
}

TEST_CASE("a second folder with the id of a node that runs waits until that is gone") {
  whole_cluster c{1, 1};
  live_node twin{1, c.etcd.endpoint()};
  REQUIRE(comes_true([&] { return twin.node().health().code() == op_code::already_exists; }));
  CHECK_THAT(twin.node().health().message(), ContainsSubstring("node 1 runs already"));
  CHECK(c.put("a", "1") == op_code::ok);
  CHECK(twin.put("a", "2") == op_code::unavailable);
}

TEST_CASE("a folder with another number of shards is no node of the cluster") {
  whole_cluster c{1, 1};
  live_node other{2, c.etcd.endpoint(), 8};
  REQUIRE(comes_true([&] { return !other.fatal().empty(); }));
  CHECK_THAT(other.fatal(), ContainsSubstring("has 4 shards, and this data folder 8"));
}

TEST_CASE("a node waits for a cluster that is not made yet, and says so") {
  etcd_process etcd;
  live_node early{1, etcd.endpoint(), 4};
  REQUIRE(comes_true([&] {
    return early.node().health().message().find("warp cluster init") != std::string::npos;
  }));
  CHECK(early.put("a", "1") == op_code::unavailable);
  const auto of = operator_of(etcd);
  REQUIRE(of->init({{node_id{1}}, 4, 1, 1, cluster::replication::ack_level::replicated}).ok());
  CHECK(of->init({{node_id{1}}, 4, 1, 1, cluster::replication::ack_level::durable}).code() ==
        op_code::already_exists);
  CHECK(comes_true([&] { return early.put("a", "1") == op_code::ok; }));
}

TEST_CASE("an operator's mistakes change nothing") {
  whole_cluster c{2, 1};
  const auto before = c.of->look();
  REQUIRE(before);
  CHECK(c.of->join(node_id{1}, "").code() == op_code::already_exists);
  CHECK(c.of->join(node_id{9}, "").code() == op_code::not_found);
  CHECK(c.of->leave(node_id{9}).code() == op_code::not_found);
  CHECK(c.of->resize(1, 2).code() == op_code::invalid_argument);
  CHECK(c.of->move(shard_id{99}, {node_id{1}}).code() == op_code::not_found);
  CHECK(c.of->move(shard_id{0}, {node_id{1}, node_id{1}}).code() == op_code::invalid_argument);
  CHECK(c.of->switch_over(shard_id{0}, node_id{9}, 1s).code() == op_code::not_found);
  // Whoever has a seat lives: nothing is lost.
  const auto primary = before->shards.at(shard_id{0}).value.primary.node;
  const auto loss = c.of->accept_loss(shard_id{0}, node_id{3 - primary.value}, 20s);
  CHECK(loss.code() == op_code::unavailable);
  CHECK_THAT(loss.message(), ContainsSubstring("lives and has a seat"));
  const auto after = c.of->look();
  REQUIRE(after);
  CHECK(after->desired->value == before->desired->value);
}
