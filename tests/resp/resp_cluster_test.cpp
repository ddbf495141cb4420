#include "cluster/resp_cluster.hpp"

#include "storage/engine.hpp"
#include "storage/slot.hpp"
#include "tests/resp/resp_fixture.hpp"
#include "tests/support/fake_cluster.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <set>

namespace warp::cluster {
namespace {

using testing::fake_cluster;

constexpr std::uint32_t shards = 4; // of small_options()

/// Nodes over engines of their own, which share nothing but the map.
struct nodes {
  explicit nodes(std::uint32_t count) : cluster(count, shards) {
    for (std::uint32_t i = 1; i <= count; ++i) {
      resp_server_options options;
      options.cluster = cluster.of(i);
      servers.push_back(std::make_unique<served>(std::move(options), /*in_memory=*/true));
      cluster.addresses(i, "", "127.0.0.1:" + std::to_string(port(i)));
    }
    cluster.deal();
  }
  [[nodiscard]] std::uint16_t port(std::uint32_t node) {
    return servers[node - 1]->server().port();
  }
  [[nodiscard]] resp_client client(std::uint32_t node) { return servers[node - 1]->client(); }
  [[nodiscard]] std::string moved(std::string_view key, std::uint32_t node) {
    return "-MOVED " + std::to_string(storage::slot_of(key).value) +
           " 127.0.0.1:" + std::to_string(port(node)) + "\r\n";
  }

  fake_cluster cluster;
  std::vector<std::unique_ptr<served>> servers;
};

/// The n-th key of that shard: "key", or with a tag.
std::string key_of(std::uint32_t shard, int n = 0) {
  for (int i = 0;; ++i) {
    auto key = "key" + std::to_string(i);
    if (storage::shard_of(key, shards).value == shard && n-- == 0) return key;
  }
}

TEST_CASE("a key of another node's slot is answered with MOVED, and served there",
          "[resp][cluster]") {
  nodes n{2};
  auto one = n.client(1), two = n.client(2);
  const auto key = key_of(1);
  CHECK(one.ask({"SET", key, "v"}) == n.moved(key, 2));
  CHECK(two.ask({"SET", key, "v"}) == "+OK\r\n");
  CHECK(one.ask({"GET", key}) == n.moved(key, 2));
  CHECK(two.ask({"GET", key}) == bulk("v"));
  // Also what is no operation of the engine, and after READONLY: a replica does not answer.
  CHECK(one.ask({"APPEND", key, "x"}) == n.moved(key, 2));
  CHECK(one.ask({"READONLY"}) == "+OK\r\n");
  CHECK(one.ask({"GET", key}) == n.moved(key, 2));
  // It moves.
  n.cluster.give(1, 1);
  CHECK(two.ask({"GET", key}) == n.moved(key, 1));
  CHECK(one.ask({"SET", key, "w"}) == "+OK\r\n");
}

TEST_CASE("in a pipeline each command is answered in its place, the misplaced ones too",
          "[resp][cluster]") {
  nodes n{2};
  auto c = n.client(1);
  std::string sent, expected;
  for (int i = 0; i < 300; ++i) {
    const auto key = "k" + std::to_string(i);
    sent += resp_client::command({"SET", key, "v"}) + resp_client::command({"GET", key});
    const bool here = storage::shard_of(key, shards).value % 2 == 0;
    expected += here ? "+OK\r\n" + bulk("v") : n.moved(key, 2) + n.moved(key, 2);
  }
  REQUIRE(c.send(sent));
  std::string got;
  for (int i = 0; i < 600; ++i) got += c.reply();
  CHECK(got == expected);
}

TEST_CASE("keys of more than one slot are refused with CROSSSLOT", "[resp][cluster]") {
  nodes n{1}; // which serves all of them
  auto c = n.client(1);
  const std::string crossslot = "-CROSSSLOT Keys in request don't hash to the same slot\r\n";
  CHECK(c.ask({"MGET", "a", "b"}) == crossslot);
  CHECK(c.ask({"MSET", "a", "1", "b", "2"}) == crossslot);
  CHECK(c.ask({"DEL", "a", "b"}) == crossslot);
  CHECK(c.ask({"RENAME", "a", "b"}) == crossslot);
  CHECK(c.ask({"WATCH", "a", "b"}) == crossslot);
  CHECK(c.ask({"MSET", "{t}a", "1", "{t}b", "2"}) == "+OK\r\n");
  CHECK(c.ask({"MGET", "{t}a", "{t}b"}) == "*2\r\n" + bulk("1") + bulk("2"));
  CHECK(c.ask({"RENAME", "{t}a", "{t}c"}) == "+OK\r\n");
  CHECK(c.ask({"DEL", "{t}b", "{t}c"}) == ":2\r\n");
}

TEST_CASE("without a primary the cluster is down, and one that is not ready asks for patience",
          "[resp][cluster]") {
  nodes n{2};
  auto c = n.client(1);
  const auto key = key_of(0);
  n.cluster.hold(0);
  CHECK(c.ask({"GET", key}).starts_with("-TRYAGAIN "));
  CHECK(c.ask({"STRLEN", key}).starts_with("-TRYAGAIN "));
  n.cluster.give(0, 0); // nobody
  CHECK(c.ask({"GET", key}) == "-CLUSTERDOWN Hash slot not served\r\n");
  n.cluster.give(0, 2);
  CHECK(c.ask({"GET", key}) == n.moved(key, 2));
  n.cluster.addresses(2, "", "");
  CHECK(c.ask({"GET", key}).starts_with("-CLUSTERDOWN "));
}

TEST_CASE("a transaction is of one slot of this node, when it is queued and when it is done",
          "[resp][cluster]") {
  nodes n{2};
  auto c = n.client(1);
  const auto here = key_of(0), other = key_of(0, 1), away = key_of(1);
  const std::string aborted = "-EXECABORT Transaction discarded because of previous errors.\r\n";
  SECTION("a key of another node is refused when it is queued") {
    c.ask({"MULTI"});
    CHECK(c.ask({"SET", away, "v"}) == n.moved(away, 2));
    CHECK(c.ask({"SET", here, "v"}) == "+QUEUED\r\n");
    CHECK(c.ask({"EXEC"}) == aborted);
  }
  SECTION("and so are keys of two slots in one command") {
    c.ask({"MULTI"});
    CHECK(c.ask({"MSET", here, "1", other, "2"}).starts_with("-CROSSSLOT "));
    CHECK(c.ask({"EXEC"}) == aborted);
  }
  SECTION("two slots in two commands are refused at the end") {
    c.ask({"MULTI"});
    CHECK(c.ask({"SET", here, "v"}) == "+QUEUED\r\n");
    CHECK(c.ask({"SET", other, "v"}) == "+QUEUED\r\n");
    CHECK(c.ask({"EXEC"}).starts_with("-CROSSSLOT "));
    CHECK(c.ask({"GET", here}) == "$-1\r\n");
    CHECK(c.ask({"EXEC"}) == "-ERR EXEC without MULTI\r\n");
  }
  SECTION("a slot that went elsewhere meanwhile is answered with MOVED") {
    c.ask({"WATCH", here});
    c.ask({"MULTI"});
    CHECK(c.ask({"SET", here, "v"}) == "+QUEUED\r\n");
    n.cluster.give(0, 2);
    CHECK(c.ask({"EXEC"}) == n.moved(here, 2));
  }
  SECTION("all keys are too many") {
    c.ask({"MULTI"});
    CHECK(c.ask({"FLUSHALL"}).starts_with("-ERR what works on all keys"));
    CHECK(c.ask({"EXEC"}) == aborted);
  }
  SECTION("of one slot it is done") {
    CHECK(c.ask({"WATCH", "{" + here + "}"}).starts_with("+OK"));
    c.ask({"MULTI"});
    c.ask({"SET", here, "1"});
    c.ask({"INCR", "{" + here + "}2"});
    c.ask({"PING"});
    CHECK(c.ask({"EXEC"}) == "*3\r\n+OK\r\n:1\r\n+PONG\r\n");
  }
  SECTION("of no slot too") {
    c.ask({"MULTI"});
    c.ask({"PING"});
    CHECK(c.ask({"EXEC"}) == "*1\r\n+PONG\r\n");
  }
}

TEST_CASE("what works on all keys means those of this node's shards", "[resp][cluster]") {
  nodes n{2};
  auto one = n.client(1), two = n.client(2);
  for (std::uint32_t s = 0; s < shards; ++s)
    for (int i = 0; i < 5; ++i) {
      auto& c = s % 2 == 0 ? one : two;
      REQUIRE(c.ask({"SET", key_of(s, i), "v"}) == "+OK\r\n");
    }
  CHECK(one.ask({"DBSIZE"}) == ":10\r\n");
  CHECK(one.ask({"PING"}) == "+PONG\r\n");
  CHECK(one.ask({"KEYS", "*"}).starts_with("*10\r\n"));
  // A copy that is not served any more is not told of.
  n.cluster.give(2, 2);
  CHECK(one.ask({"DBSIZE"}) == ":5\r\n");
  CHECK(one.ask({"KEYS", "*"}).starts_with("*5\r\n"));
  CHECK(one.ask({"SCAN", "0", "COUNT", "1000"}).find(bulk(key_of(2))) == std::string::npos);
  CHECK(one.ask({"FLUSHALL"}) == "+OK\r\n");
  CHECK(one.ask({"DBSIZE"}) == ":0\r\n");
  n.cluster.give(2, 1);
  CHECK(one.ask({"DBSIZE"}) == ":5\r\n");
}

TEST_CASE("CLUSTER shows the map, the same at each node", "[resp][cluster]") {
  nodes n{3};
  // Slots 0-8191: node 1 with replica 2; 8192-12287: node 2; the rest: node 1 with replica 2.
  n.cluster.give(0, 1, {2});
  n.cluster.give(1, 1, {2});
  n.cluster.give(2, 2);
  n.cluster.give(3, 1, {2});
  auto one = n.client(1), three = n.client(3);
  const auto map = n.cluster.of(1)->map();
  const auto name = [&](std::uint32_t id) {
    return resp_node_name(*map, replication::node_id{id});
  };
  const auto node = [&](std::uint32_t id) {
    return "*4\r\n" + bulk("127.0.0.1") + ":" + std::to_string(n.port(id)) + "\r\n" +
           bulk(name(id)) + "*0\r\n";
  };
  const auto slots = one.ask({"CLUSTER", "SLOTS"});
  CHECK(slots == "*3\r\n*3\r\n:0\r\n:8191\r\n" + node(1) + "*3\r\n:8192\r\n:12287\r\n" + node(2) +
                     "*3\r\n:12288\r\n:16383\r\n" + node(1));
  // Who reads from replicas where it is told of some would be sent away again and again.
  n.cluster.give(0, 1, {3});
  CHECK(one.ask({"CLUSTER", "SLOTS"}) == slots);
  n.cluster.give(0, 1, {2});
  CHECK(three.ask({"CLUSTER", "SLOTS"}) == slots);

  CHECK(one.ask({"CLUSTER", "MYID"}) == bulk(name(1)));
  CHECK(three.ask({"CLUSTER", "MYID"}) == bulk(name(3)));
  std::set<std::string> names{name(1), name(2), name(3)};
  CHECK(names.size() == 3);
  for (const auto& id : names) {
    CHECK(id.size() == 40);
    CHECK(id.find_first_not_of("0123456789abcdef") == std::string::npos);
  }

  const auto lines = three.ask({"CLUSTER", "NODES"});
  const auto has = [&](const std::string& text) {
    INFO(lines);
    CHECK(lines.find(text) != std::string::npos);
  };
  const auto at = [&](std::uint32_t id) {
    return " 127.0.0.1:" + std::to_string(n.port(id)) + "@" + std::to_string(n.port(id) + 10'000);
  };
  has(name(1) + at(1) + " master - 0 0 4 connected 0-8191 12288-16383\n");
  has(name(2) + at(2) + " master - 0 0 2 connected 8192-12287\n");
  has(name(3) + at(3) + " myself,master - 0 0 0 connected\n");
  CHECK(one.ask({"CLUSTER", "REPLICAS", name(1)})
            .find(name(2) + at(2) + " slave " + name(1) + " 0 0 4 connected") != std::string::npos);
  CHECK(one.ask({"CLUSTER", "REPLICAS", name(2)}) == "*0\r\n");
  CHECK(one.ask({"CLUSTER", "REPLICAS", name(3)}) == "-ERR The specified node is not a master\r\n");
  CHECK(one.ask({"CLUSTER", "REPLICAS", "x"}) == "-ERR Unknown node x\r\n");
  CHECK(one.ask({"CLUSTER", "LINKS"}).starts_with("*2\r\n"));

  const auto shown = one.ask({"CLUSTER", "SHARDS"});
  CHECK(shown.starts_with("*2\r\n*4\r\n" + bulk("slots") +
                          "*4\r\n:0\r\n:8191\r\n:12288\r\n:16383\r\n" + bulk("nodes") + "*2\r\n"));
  CHECK(shown.find(bulk("role") + bulk("replica")) != std::string::npos);

  const auto info = [&] { return one.ask({"CLUSTER", "INFO"}); };
  CHECK(info().find("cluster_state:ok\r\ncluster_slots_assigned:16384\r\n") != std::string::npos);
  CHECK(info().find("cluster_known_nodes:3\r\ncluster_size:2\r\ncluster_current_epoch:4\r\n") !=
        std::string::npos);
  CHECK(one.ask({"INFO"}).find("cluster_enabled:1") != std::string::npos);
  CHECK(one.ask({"INFO"}).find("redis_mode:cluster") != std::string::npos);
  n.cluster.live(2, false);
  CHECK(info().find("cluster_state:fail\r\ncluster_slots_assigned:16384\r\n"
                    "cluster_slots_ok:12288\r\n") != std::string::npos);
  CHECK(one.ask({"CLUSTER", "NODES"}).find(" master,fail - 0 0 2 disconnected 8192") !=
        std::string::npos);
  n.cluster.give(2, 0);
  CHECK(info().find("cluster_state:fail\r\ncluster_slots_assigned:12288\r\n") != std::string::npos);
  // Nobody's slots are not shown.
  CHECK(one.ask({"CLUSTER", "SLOTS"}).starts_with("*2\r\n"));
}

TEST_CASE("a node that is no primary is shown as a replica of one", "[resp][cluster]") {
  nodes n{2};
  for (std::uint32_t s = 0; s < shards; ++s) n.cluster.give(s, 1, {2});
  auto two = n.client(2);
  const auto map = n.cluster.of(2)->map();
  const auto master = resp_node_name(*map, replication::node_id{1});
  CHECK(two.ask({"CLUSTER", "NODES"}).find(" myself,slave " + master + " 0 0 ") !=
        std::string::npos);
}

TEST_CASE("keys are counted and listed by slot", "[resp][cluster]") {
  nodes n{1};
  auto c = n.client(1);
  const auto slot = std::to_string(storage::slot_of("tag").value);
  for (int i = 0; i < 3; ++i) c.ask({"SET", "{tag}" + std::to_string(i), "v"});
  c.ask({"SET", "other", "v"});
  CHECK(c.ask({"CLUSTER", "COUNTKEYSINSLOT", slot}) == ":3\r\n");
  CHECK(c.ask({"CLUSTER", "GETKEYSINSLOT", slot, "2"}).starts_with("*2\r\n"));
  CHECK(c.ask({"CLUSTER", "KEYSLOT", "{tag}0"}) == ":" + slot + "\r\n");
}

TEST_CASE("a shard channel is at the node that serves its slot", "[resp][cluster]") {
  nodes n{2};
  auto one = n.client(1), two = n.client(2);
  const auto channel = key_of(1);
  CHECK(one.ask({"SSUBSCRIBE", channel}) == n.moved(channel, 2));
  CHECK(two.ask({"SSUBSCRIBE", channel}).starts_with("*3\r\n"));
  CHECK(one.ask({"SPUBLISH", channel, "m"}) == n.moved(channel, 2));
}

TEST_CASE("addresses are taken apart", "[resp][cluster]") {
  const auto is = [](std::string_view text, std::string_view host, std::uint16_t port) {
    const auto at = split_address(text);
    INFO(text);
    CHECK(at.host == host);
    CHECK(at.port == port);
  };
  is("10.0.0.1:7379", "10.0.0.1", 7379);
  is("[::1]:7379", "::1", 7379);
  is("node.example:1", "node.example", 1);
  is("", "", 0);
  is("host", "", 0);
  is("host:", "", 0);
  is("host:70000", "", 0);
  is("host:1x", "", 0);
}

} // namespace
} // namespace warp::cluster
