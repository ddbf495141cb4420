// A client and the nodes of a cluster, over real servers whose shards go where the test says.
#include "cluster/client.hpp"

#include "cluster/client_routes.hpp"
#include "cluster/not_primary.hpp"
#include "storage/engine.hpp"
#include "storage/slot.hpp"
#include "storage/watch_thread.hpp"
#include "tests/cluster/rpc_fixture.hpp"
#include "tests/support/fake_cluster.hpp"

#include <atomic>
#include <capnp/ez-rpc.h>
#include <catch2/catch_test_macros.hpp>
#include <future>
#include <map>
#include <set>
#include <thread>

namespace warp::cluster {
namespace {

using namespace std::chrono_literals;
using testing::fake_cluster;

constexpr std::uint32_t shards = 4; // of small_options()

/// Nodes over one engine, so that a shard that moves keeps its records, as replication has it.
struct nodes : rpc_fixture {
  explicit nodes(std::uint32_t count) : rpc_fixture(false), cluster(count, shards) {
    for (std::uint32_t i = 1; i <= count; ++i) {
      servers.push_back(serve(i, "127.0.0.1:0"));
      addresses.push_back("127.0.0.1:" + std::to_string(servers.back()->port()));
      cluster.addresses(i, addresses.back(), "");
    }
    cluster.deal();
  }
  std::unique_ptr<rpc_server> serve(std::uint32_t node, std::string listen) {
    rpc_server_options o;
    o.cluster = cluster.of(node);
    o.listen = std::move(listen);
    auto s = rpc_server::start(std::move(o), *engine, &admin);
    INFO(s.status().to_string());
    REQUIRE(s.ok());
    return std::move(*s);
  }
  [[nodiscard]] client_options options(std::uint32_t node = 1) const {
    auto o = rpc_fixture::options();
    o.addresses = {addresses[node - 1]};
    return o;
  }
  [[nodiscard]] std::unique_ptr<client> connect(std::uint32_t node = 1) const {
    return rpc_fixture::connect(options(node));
  }
  [[nodiscard]] std::uint64_t errors() const {
    std::uint64_t sum = 0;
    for (const auto& s : servers)
      if (s) sum += s->counters().errors.load();
    return sum;
  }

  fake_cluster cluster;
  std::vector<std::unique_ptr<rpc_server>> servers;
  std::vector<std::string> addresses;
};

std::string key_of(std::uint32_t shard, int n = 0) {
  for (int i = 0;; ++i) {
    auto key = "key" + std::to_string(i);
    if (storage::shard_of(key, shards).value == shard && n-- == 0) return key;
  }
}

TEST_CASE("a list of addresses is read as it is written", "[cluster][client]") {
  const auto list = [](std::string_view text) {
    const auto parsed = parse_addresses(text);
    return parsed ? *parsed : std::vector<std::string>{};
  };
  CHECK(list("a:1") == std::vector<std::string>{"a:1"});
  CHECK(list("a:1, b:2 ,[::1]:3") == std::vector<std::string>{"a:1", "b:2", "[::1]:3"});
  for (const auto* wrong : {"", ",", "a:1,", ",a:1", "a:1,,b:2", " "})
    CHECK(parse_addresses(wrong).code() == op_code::invalid_argument);
}

TEST_CASE("of what is heard of a shard the highest epoch counts", "[cluster][client]") {
  cluster_map map;
  map.shards.resize(2);
  for (std::uint32_t i = 1; i <= 2; ++i)
    map.nodes.push_back({.id = replication::node_id{i},
                         .zone = {},
                         .rpc = "node" + std::to_string(i),
                         .resp = {},
                         .http = {},
                         .links = {},
                         .live = true});
  map.shards[0] = {5, replication::node_id{1}, {}, {}};
  client_routes routes;
  CHECK(routes.empty());
  CHECK(routes.learn(map));
  CHECK(routes.at(shard_id{0}).address == "node1");
  CHECK(routes.at(shard_id{1}).address.empty());
  // The same again, and what is older, is nothing new.
  CHECK(!routes.learn(map));
  CHECK(!routes.learn(shard_id{0}, 4, "node2"));
  CHECK(routes.at(shard_id{0}).address == "node1");
  CHECK(routes.learn(shard_id{0}, 6, "node2"));
  CHECK(routes.at(shard_id{0}).address == "node2");
  CHECK(!routes.learn(map));
  CHECK(routes.at(shard_id{0}).address == "node2");
  // Whoever names nobody does not take away what is known.
  CHECK(!routes.learn(shard_id{0}, 7, ""));
  CHECK(!routes.learn(shard_id{9}, 7, "node1"));
  map.shards.resize(4);
  map.shards[1] = {9, replication::node_id{1}, {}, {}};
  CHECK(!routes.learn(map));
}

TEST_CASE("each operation goes to the primary of its shard, and nobody has to refuse it",
          "[cluster][client]") {
  nodes n{3};
  const auto c = n.connect(2);
  std::vector<std::pair<std::string, std::string>> pairs;
  for (int i = 0; i < 2'000; ++i) pairs.emplace_back("k" + std::to_string(i), std::to_string(i));
  client_batch batch;
  for (const auto& [key, value] : pairs) batch.put(key, value);
  for (const auto& reply : c->execute(batch)) REQUIRE(reply.ok());
  for (const auto& [key, value] : pairs) {
    const auto got = c->get(key);
    REQUIRE(got.ok());
    REQUIRE(got.value == value);
  }
  batch.clear();
  for (const auto& [key, value] : pairs) batch.get(key);
  const auto replies = c->execute(batch);
  for (std::size_t i = 0; i < pairs.size(); ++i) REQUIRE(replies[i].value == pairs[i].second);
  CHECK(n.errors() == 0);
  CHECK(c->count().retries == 0);
  for (const auto& s : n.servers) CHECK(s->counters().operations.load() > 500);
  CHECK(c->put("", "v").code() == op_code::invalid_argument);
  CHECK(c->info()->clustered);
  CHECK(c->ping().ok());
}

TEST_CASE("a client follows a shard that moves, and keeps to what is newer", "[cluster][client]") {
  nodes n{3};
  const auto c = n.connect();
  const auto key = key_of(0);
  REQUIRE(c->put(key, "1").ok());
  SECTION("the one that it leaves says where it is") {
    n.cluster.give(0, 2);
    CHECK(c->get(key).value == "1");
    CHECK(c->count().retries == 0); // a redirect is followed at once
    // None, if a connection was still logging in and has brought the newest map.
    const auto redirects = n.errors();
    CHECK(redirects <= 1);
    CHECK(c->get(key).value == "1");
    CHECK(n.errors() == redirects);
  }
  SECTION("a node that is behind does not lead it back") {
    n.cluster.give(0, 2);
    REQUIRE(c->get(key).ok());
    // Node 2 has lost it to node 3 and believes that it was node 1 before: an older epoch.
    n.cluster.give_unheard(0, 3);
    n.cluster.tell(2, 0, 1, 1);
    n.cluster.tell(1, 0, 1, 1);
    CHECK(c->put(key, "2").ok());
    CHECK(c->get(key).value == "2");
  }
  SECTION("nobody says anything but the map of a third") {
    n.cluster.give_unheard(0, 3);
    n.cluster.tell(1, 0, n.cluster.epoch(0) - 1, 0);
    CHECK(c->get(key).value == "1");
  }
}

TEST_CASE("a shard that nobody serves is waited for, within the deadline", "[cluster][client]") {
  nodes n{2};
  auto o = n.options();
  const auto key = key_of(1);
  SECTION("until somebody does") {
    const auto c = rpc_fixture::connect(o);
    n.cluster.give(1, 0);
    auto later = std::async(std::launch::async, [&] { return c->put(key, "v"); });
    // What others serve goes on meanwhile.
    CHECK(c->put(key_of(0), "v").ok());
    while (c->count().retries < 3) std::this_thread::yield();
    n.cluster.give(1, 1);
    const auto reply = later.get();
    INFO(reply.status.to_string());
    CHECK(reply.ok());
  }
  SECTION("and no longer") {
    o.deadline = 100ms;
    const auto c = rpc_fixture::connect(o);
    n.cluster.give(1, 0);
    const auto reply = c->put(key, "v");
    n.cluster.give(1, 1);
    // Unless one more try was under way just then.
    if (reply.code() != op_code::outcome_unknown) {
      CHECK(reply.code() == op_code::unavailable);
      CHECK(reply.status.message().find("no primary") != std::string::npos);
      CHECK(c->get(key).code() == op_code::not_found);
    }
  }
}

TEST_CASE("a counter counts once while its shard moves and servers come and go",
          "[cluster][client]") {
  nodes n{3};
  auto o = n.options();
  o.addresses = n.addresses;
  o.deadline = 60s;
  const auto c = rpc_fixture::connect(o);
  constexpr int threads = 4, each = 200;
  std::vector<std::thread> workers;
  std::atomic<int> wrong{0}, done{0};
  for (int t = 0; t < threads; ++t)
    workers.emplace_back([&] {
      for (int i = 0; i < each; ++i) {
        if (!c->increment(key_of(0)).ok()) ++wrong;
        ++done;
      }
    });
  // In turn to each node; the one that had it goes and comes back, with what was on its way lost.
  for (std::uint32_t turn = 0; done < threads * each; ++turn) {
    const auto from = turn % 3, to = (turn + 1) % 3;
    const auto before = done.load();
    n.cluster.give(0, to + 1);
    if (turn % 4 == 0) {
      n.servers[from].reset();
      n.servers[from] = n.serve(from + 1, n.addresses[from]);
    }
    while (done < std::min(before + 10, threads * each)) std::this_thread::yield();
  }
  for (auto& w : workers) w.join();
  CHECK(wrong == 0);
  CHECK(c->get(key_of(0)).value == std::to_string(threads * each));
}

TEST_CASE("when its server is gone a client finds the new primary by itself", "[cluster][client]") {
  nodes n{2};
  const auto c = n.connect(2); // was told of node 2 only, which goes
  const auto key = key_of(1);
  REQUIRE(c->put(key, "v").ok());
  REQUIRE(c->put(key_of(0), "v").ok());
  n.servers[1].reset();
  for (std::uint32_t s = 0; s < shards; ++s) n.cluster.give(s, 1);
  CHECK(c->get(key).value == "v");
  CHECK(c->compare_and_set(key, c->get(key).version, "w").ok());
}

TEST_CASE("a scan goes over all nodes, also while shards move", "[cluster][client]") {
  nodes n{3};
  const auto c = n.connect();
  std::map<std::string, std::string> all;
  for (int i = 0; i < 3'000; ++i) {
    const auto key = "scan:" + std::to_string(i);
    all[key] = std::to_string(i);
  }
  client_batch batch;
  for (const auto& [key, value] : all) batch.put(key, value);
  batch.put("other", "x");
  for (const auto& r : c->execute(batch)) REQUIRE(r.ok());
  std::map<std::string, std::string> seen;
  std::uint32_t visits = 0;
  const auto status = c->scan("scan:", [&](const client_record& r) {
    seen[r.key] = r.value;
    if (++visits % 500 == 0) n.cluster.give(visits / 500 % shards, visits / 500 % 3 + 1);
    return true;
  });
  CHECK(status.ok());
  CHECK(seen == all);
}

TEST_CASE("an atomic batch is of one shard in a cluster", "[cluster][client]") {
  nodes n{2};
  const auto c = n.connect();
  client_batch batch;
  batch.put("{t}a", "1");
  batch.increment("{t}n");
  const auto done = c->execute_atomic(batch);
  CHECK(done.status.ok());
  CHECK(done.replies.at(1).number == 1);
  // It moves.
  const auto shard = storage::shard_of("t", shards).value;
  n.cluster.give(shard, 2);
  n.cluster.give(shard, 1);
  CHECK(c->execute_atomic(batch).replies.at(1).number == 2);
  n.cluster.give(shard, 2);
  CHECK(c->execute_atomic(batch).replies.at(1).number == 3);

  batch.clear();
  batch.put(key_of(0), "1");
  batch.put(key_of(1), "2");
  const auto refused = c->execute_atomic(batch);
  CHECK(refused.status == op_code::invalid_argument);
  CHECK(refused.status.message().find("different shards") != std::string::npos);
  CHECK(c->get(key_of(0)).code() == op_code::not_found);
}

TEST_CASE("a stream of puts is stored once and in order while shards move", "[cluster][client]") {
  nodes n{3};
  auto o = n.options();
  o.deadline = 60s;
  const auto c = rpc_fixture::connect(o);
  put_stream_options options;
  options.window_bytes = 4 * 1024; // many windows
  auto stream = c->stream_puts(options);
  REQUIRE(stream.ok());
  std::map<std::string, std::string> expected;
  constexpr int count = 5'000;
  for (int i = 0; i < count; ++i) {
    const auto key = "s" + std::to_string(i % 700); // the later one wins
    expected[key] = std::to_string(i);
    REQUIRE((*stream)->put(key, expected[key]).ok());
    if (i % 250 == 0)
      n.cluster.give(static_cast<std::uint32_t>(i / 250) % shards,
                     static_cast<std::uint32_t>(i / 250) % 3 + 1);
  }
  CHECK((*stream)->put(std::string(70'000, 'k'), "v").code() == op_code::invalid_argument);
  CHECK((*stream)->flush().ok());
  CHECK((*stream)->count().stored == count);
  CHECK((*stream)->count().failed == 0);
  for (const auto& [key, value] : expected) REQUIRE(c->get(key).value == value);
}

TEST_CASE("a watch goes to the primary of its key, and is told of what it can be told",
          "[cluster][client]") {
  nodes n{2};
  const storage::watch_thread pump{*n.engine};
  const auto c = n.connect();
  std::promise<std::string> heard;
  watch_options options;
  options.key = key_of(1);
  auto watch = c->watch(options, [&](const watch_event& e) {
    if (e.kind == watch_kind::put) heard.set_value(std::string{e.value});
  });
  INFO(watch.status().to_string());
  REQUIRE(watch.ok());
  REQUIRE(c->put(key_of(1), "v").ok());
  CHECK(heard.get_future().get() == "v");
  options.prefix = true;
  options.key = "user:";
  CHECK(c->watch(options, [](const watch_event&) {}).code() == op_code::not_supported);
  options.key = "user:{7}";
  CHECK(c->watch(options, [](const watch_event&) {}).ok());
}

TEST_CASE("a server in a cluster says so, and who is asked instead", "[cluster][rpc]") {
  nodes n{2};
  n.cluster.give(1, 2, {1});
  capnp::EzRpcClient rpc{n.addresses[0].c_str()};
  auto& wait = rpc.getWaitScope();
  auto login = rpc.getMain<wire::Warp>().loginRequest().send().wait(wait);
  CHECK(login.getInfo().getClustered());
  auto session = login.getSession();
  SECTION("a map") {
    const auto answer = session.clusterRequest().send().wait(wait);
    const auto map = answer.getMap();
    CHECK(as_view(map.getName()) == "test");
    CHECK(map.getSelf() == 1);
    REQUIRE(map.getNodes().size() == 2);
    CHECK(as_view(map.getNodes()[1].getRpc()) == n.addresses[1]);
    REQUIRE(map.getShards().size() == shards);
    CHECK(map.getShards()[1].getPrimary() == 2);
    CHECK(map.getShards()[1].getEpoch() == 2);
    CHECK(map.getShards()[1].getIsr().size() == 2);
  }
  SECTION("with each operation that is not for it") {
    const auto expect = [&](const reply_view& reply) {
      CHECK(reply.code == op_code::wrong_shard);
      CHECK(reply.shard == shard_id{1});
      CHECK(reply.version == 2);
      CHECK(reply.value == n.addresses[1]);
      CHECK(reply.message.find("node 2") != std::string_view::npos);
    };
    auto put = session.putRequest();
    put.setKey(as_data(key_of(1)));
    const auto one = put.send().wait(wait);
    expect(read_reply(one.getReply()));
    auto many = session.executeRequest();
    auto operations = many.initOperations(3);
    for (unsigned i = 0; i < 3; ++i) {
      operations[i].setKind(wire::Kind::PUT);
      operations[i].setKey(as_data(key_of(i == 1 ? 1 : 0)));
    }
    const auto answer = many.send().wait(wait);
    CHECK(answer.getReplies()[0].getCode() == wire::Code::OK);
    expect(read_reply(answer.getReplies()[1]));
    CHECK(answer.getReplies()[2].getCode() == wire::Code::OK);
    auto atomic = session.executeAtomicRequest();
    auto all = atomic.initOperations(2);
    for (auto op : all) {
      op.setKind(wire::Kind::PUT);
      op.setKey(as_data(key_of(1)));
    }
    const auto refused = atomic.send().wait(wait);
    CHECK(refused.getStatus().getCode() == wire::Code::WRONG_SHARD);
    expect(read_reply(refused.getReplies()[0]));
    CHECK(refused.getReplies()[1].getCode() == wire::Code::UNAVAILABLE);
  }
  SECTION("in a stream of puts such an entry fails alone") {
    auto opened = session.ingestRequest().send().wait(wait);
    auto ingest = opened.getIngest();
    auto put = ingest.putRequest();
    auto entries = put.initEntries(3);
    for (unsigned i = 0; i < 3; ++i) entries[i].setKey(as_data(key_of(i == 1 ? 1 : 0, 3)));
    put.send().wait(wait);
    const auto end = ingest.finishRequest().send().wait(wait);
    CHECK(end.getStored() == 2);
    CHECK(end.getFailed() == 1);
    REQUIRE(end.getFailures().size() == 1);
    CHECK(end.getFailures()[0].getIndex() == 1);
    CHECK(end.getFailures()[0].getStatus().getCode() == wire::Code::WRONG_SHARD);
  }
  SECTION("a scan of a shard that it does not serve, and no further than one it does") {
    const auto scan = [&](std::uint64_t cursor) {
      auto request = session.scanRequest();
      request.setCursor(cursor);
      return request.send().wait(wait);
    };
    const auto first = scan(0);
    CHECK(!first.hasStatus());
    CHECK(first.getNextCursor() == std::uint64_t{1} << 62);
    CHECK(scan(std::uint64_t{1} << 62).getStatus().getCode() == wire::Code::WRONG_SHARD);
    CHECK(scan(std::uint64_t{2} << 62).getNextCursor() == std::uint64_t{3} << 62);
  }
}

TEST_CASE("a server that is alone has no map", "[cluster][rpc]") {
  rpc_fixture f{false};
  capnp::EzRpcClient rpc{"127.0.0.1", f.server->port()};
  auto& wait = rpc.getWaitScope();
  auto login = rpc.getMain<wire::Warp>().loginRequest().send().wait(wait);
  CHECK(!login.getInfo().getClustered());
  const auto answer = login.getSession().clusterRequest().send().wait(wait);
  CHECK(answer.getStatus().getCode() == wire::Code::NOT_SUPPORTED);
}

} // namespace
} // namespace warp::cluster
