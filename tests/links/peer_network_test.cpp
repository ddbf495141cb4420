#include "cluster/links/peer_network.hpp"

#include "cluster/links/link_dial.hpp"
#include "cluster/links/link_handshake.hpp"
#include "tests/links/link_fixture.hpp"
#include "tests/links/tcp_forwarder.hpp"

#include <algorithm>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <cstring>
#include <random>
#include <thread>

using namespace warp;
using namespace warp::cluster::links;
using testing::loopback_socket;
using testing::tcp_forwarder;
namespace rep = warp::cluster::replication;

namespace {

void introduce(test_node& a, test_node& b) {
  a.knows(b);
  b.knows(a);
}

void require_linked(test_node& a, test_node& b) {
  introduce(a, b);
  REQUIRE(a.seen.wait_linked(b.self.node));
  REQUIRE(b.seen.wait_linked(a.self.node));
}

/// A connection on which `self` was let in, as a node does it: who is told that the link's actor is
/// not there (yet) comes again. Null: not until then, or refused.
std::unique_ptr<link_socket> welcomed(test_node& at, const node_identity& self,
                                      std::chrono::steady_clock::time_point until) {
  while (std::chrono::steady_clock::now() < until) {
    auto met = dial({"127.0.0.1", at.network->port()}, {}, std::chrono::seconds{10});
    if (!met.status.ok()) return nullptr;
    const auto answer = introduce(*met.socket, self, until);
    if (answer.ok() && answer->status.ok()) return std::move(met.socket);
    if (!answer.ok() || answer->status.code() != op_code::unavailable) return nullptr;
    std::this_thread::sleep_for(test_node::fast_options().retry_min);
  }
  return nullptr;
}

} // namespace

TEST_CASE("two nodes find each other and what one sends arrives at the other, in order",
          "[links][network]") {
  test_node a{test_identity(1)}, b{test_identity(2)};
  require_linked(a, b);
  for (lsn_t lsn = 1; lsn <= 1'000; ++lsn) {
    const auto m = a.record(lsn);
    REQUIRE(a.network->send(b.self.node, m.shard, m.what).ok());
    REQUIRE(b.network->send(a.self.node, {b.record(lsn)}).ok());
  }
  for (auto* n : {&a, &b}) {
    REQUIRE(n->seen.wait([&] { return n->seen.got.size() == 1'000; }));
    for (lsn_t i = 0; i < 1'000; ++i) REQUIRE(lsn_of(n->seen.got[i]) == i + 1);
    CHECK(n->seen.strangers == 0);
  }
  const auto report = a.report(b.self.node);
  CHECK(report.linked);
  CHECK(report.identity == b.self);
  CHECK(report.messages_sent == 1'000);
  CHECK(report.messages_received == 1'000);
  CHECK((report.dropped_away == 0 && report.dropped_full == 0 && report.malformed == 0));
  std::vector<actors::metric> metrics;
  a.network->collect(metrics);
  REQUIRE_FALSE(metrics.empty());
  CHECK(metrics[0].name == "warp_node_link_up");
  CHECK(metrics[0].values.at(0).value == 1);
}

TEST_CASE("the heartbeats of 2,000 shards travel in one envelope", "[links][network]") {
  test_node a{test_identity(1)}, b{test_identity(2)};
  require_linked(a, b);
  std::vector<shard_message> beats;
  for (std::uint32_t i = 0; i < 2'000; ++i)
    beats.push_back({shard_id{i}, {{a.self.node, a.self.boot}, rep::append{1, 5, 1, 5, 0, {}}}});
  REQUIRE(a.network->send(b.self.node, std::move(beats)).ok());
  REQUIRE(b.seen.wait([&] { return b.seen.got.size() == 2'000; }));
  CHECK(b.seen.envelopes == 1);
}

TEST_CASE("a record of many megabytes arrives whole, and nothing behind it gets lost",
          "[links][network]") {
  test_node a{test_identity(1)}, b{test_identity(2)};
  require_linked(a, b);
  std::string large(20u << 20, '\0');
  std::mt19937_64 random{3};
  for (auto& c : large) c = static_cast<char>(random());
  REQUIRE(a.network->send(b.self.node, {a.record(1), a.record(2, large)}).code() ==
          op_code::overloaded); // it does not fit behind another
  REQUIRE(b.seen.wait([&] { return b.seen.got.size() == 1; }));
  REQUIRE(a.network->send(b.self.node, {a.record(2, large)}).ok());
  REQUIRE(b.seen.wait([&] { return b.seen.got.size() == 2; }));
  CHECK(std::get<rep::append>(b.seen.got[1].what.body).records[0].body == large);
  REQUIRE(a.network->send(b.self.node, {a.record(3)}).ok());
  REQUIRE(b.seen.wait([&] { return b.seen.got.size() == 3; }));
}

TEST_CASE("nobody hears of a message to a node that is away or unknown, but its sender",
          "[links][network]") {
  test_node a{test_identity(1)};
  CHECK(a.network->send(node_id{2}, {a.record(1)}).code() == op_code::not_found);
  a.knows(node_id{2}, loopback_socket::listening().port()); // and closed again
  CHECK(a.network->send(node_id{2}, {a.record(1)}).code() == op_code::unavailable);
  CHECK(a.report(node_id{2}).dropped_away == 1);
  REQUIRE(a.seen.wait_event(node_id{2}, [](const link_event& e) { return e.refused; }));
  CHECK(a.report(node_id{2}).refused);
}

TEST_CASE("a slow peer is told of by overloaded, and holds bounded memory on both sides",
          "[links][network]") {
  auto options = test_node::fast_options();
  options.batch_bytes = 16u << 10;
  options.outbox_bytes = 128u << 10;
  test_node a{test_identity(1), options}, b{test_identity(2), options};
  require_linked(a, b);
  b.seen.hold(true);
  // What the two machines hold for a connection that nobody reads, at most, by their defaults.
  constexpr std::size_t kernel_bytes_max = 16u << 20;
  lsn_t sent = 0, taken = 0;
  std::vector<lsn_t> expected;
  bool overloaded = false;
  while (!overloaded && sent < 100'000) {
    const auto status = a.network->send(b.self.node, {a.record(++sent, std::string(1'000, 'x'))});
    overloaded = status.code() == op_code::overloaded;
    if (status.ok()) expected.push_back(sent), ++taken;
  }
  REQUIRE(overloaded);
  const auto report = a.report(b.self.node);
  CHECK(report.waiting_bytes <= options.outbox_bytes);
  CHECK(report.waiting_bytes > options.outbox_bytes / 2);
  CHECK(report.dropped_full == 1);
  CHECK(taken * 1'000 <= kernel_bytes_max);
  CHECK(report.linked);
  b.seen.hold(false);
  REQUIRE(b.seen.wait([&] { return b.seen.got.size() == taken; }));
  for (std::size_t i = 0; i < expected.size(); ++i) REQUIRE(lsn_of(b.seen.got[i]) == expected[i]);
  REQUIRE(a.network->send(b.self.node, {a.record(++sent)}).ok());
  REQUIRE(b.seen.wait([&] { return b.seen.got.size() == taken + 1; }));
}

TEST_CASE("a link that is cut comes back by itself", "[links][network]") {
  test_node a{test_identity(1)}, b{test_identity(2)};
  tcp_forwarder wire{b.network->port()};
  a.knows(b.self.node, wire.port());
  b.knows(a);
  REQUIRE(a.seen.wait_linked(b.self.node));
  REQUIRE(b.seen.wait_linked(a.self.node));
  for (int round = 0; round < 3; ++round) {
    wire.set(tcp_forwarder::wire::cut);
    REQUIRE(a.seen.wait_lost(b.self.node));
    REQUIRE(b.seen.wait_lost(a.self.node));
    CHECK(a.network->send(b.self.node, {a.record(1)}).code() == op_code::unavailable);
    wire.set(tcp_forwarder::wire::whole);
    REQUIRE(a.seen.wait_linked(b.self.node));
    REQUIRE(b.seen.wait_linked(a.self.node));
    const auto lsn = static_cast<lsn_t>(round + 10);
    REQUIRE(a.network->send(b.self.node, {a.record(lsn)}).ok());
    REQUIRE(b.seen.wait([&] { return !b.seen.got.empty() && lsn_of(b.seen.got.back()) == lsn; }));
  }
  CHECK(a.report(b.self.node).lost == 3);
}

TEST_CASE("a peer that falls silent is lost within the bound", "[links][network]") {
  auto options = test_node::fast_options();
  options.heartbeat = std::chrono::milliseconds{50};
  options.silence_max = std::chrono::milliseconds{400};
  options.dial_max = std::chrono::milliseconds{400};
  test_node a{test_identity(1), options}, b{test_identity(2), options};
  tcp_forwarder wire{b.network->port()};
  a.knows(b.self.node, wire.port());
  b.knows(a);
  REQUIRE(a.seen.wait_linked(b.self.node));
  wire.set(tcp_forwarder::wire::silent);
  REQUIRE(a.seen.wait_lost(b.self.node));
  REQUIRE(b.seen.wait_lost(a.self.node));
  wire.set(tcp_forwarder::wire::whole);
  REQUIRE(a.seen.wait_linked(b.self.node));
}

TEST_CASE("a restarted node takes the place of the link that it had", "[links][network]") {
  test_node a{test_identity(1)};
  auto b = std::make_unique<test_node>(test_identity(2, 10));
  introduce(a, *b);
  REQUIRE(a.seen.wait_linked(node_id{2}));
  b = nullptr;
  REQUIRE(a.seen.wait_lost(node_id{2}));
  b = std::make_unique<test_node>(test_identity(2, 11));
  introduce(a, *b);
  REQUIRE(a.seen.wait_event(
      node_id{2}, [](const link_event& e) { return e.linked && e.identity->boot == boot_id{11}; }));
  REQUIRE(b->seen.wait_linked(node_id{1}));
  REQUIRE(a.network->send(node_id{2}, {a.record(1)}).ok());
  REQUIRE(b->seen.wait([&] { return b->seen.got.size() == 1; }));
}

TEST_CASE("a network can be stopped and started again on its port", "[links][network]") {
  test_node a{test_identity(1)}, b{test_identity(2)};
  require_linked(a, b);
  const auto port = b.network->port();
  b.network->stop(std::chrono::steady_clock::now());
  CHECK_FALSE(b.network->health().ok());
  REQUIRE(a.seen.wait_lost(b.self.node));
  REQUIRE(b.network->start().ok());
  CHECK(b.network->port() == port);
  REQUIRE(a.seen.wait_linked(b.self.node));
}

TEST_CASE("two networks can be stopped at once, just linked and while others send over them",
          "[links][network]") {
  test_node a{test_identity(1)}, b{test_identity(2)};
  introduce(a, b);
  for (std::ptrdiff_t round = 1; round <= 60; ++round) {
    std::atomic<bool> enough{round % 2 != 0};
    const auto send = [&](test_node& from, test_node& to) {
      return std::thread{[&] {
        const std::string body(10'000, 'x');
        for (lsn_t lsn = 1; !enough; ++lsn)
          static_cast<void>(from.network->send(to.self.node, {from.record(lsn, body)}));
      }};
    };
    auto one = send(a, b), other = send(b, a);
    const auto linked = a.seen.wait(
        [&] { return std::ranges::count_if(a.seen.events, &link_event::linked) >= round; });
    std::thread stops{[&] { b.network->stop(std::chrono::steady_clock::now()); }};
    a.network->stop(std::chrono::steady_clock::now());
    stops.join();
    enough = true;
    one.join();
    other.join();
    REQUIRE(linked);
    REQUIRE(a.network->start().ok());
    REQUIRE(b.network->start().ok());
  }
}

TEST_CASE("a forgotten node is let in no more, and again when it is named again",
          "[links][network]") {
  test_node a{test_identity(1)}, b{test_identity(2)};
  require_linked(a, b);
  b.network->forget_peer(a.self.node);
  REQUIRE(b.seen.wait_lost(a.self.node));
  REQUIRE(a.seen.wait([&] {
    return !a.seen.events.empty() &&
           a.seen.events.back().reason.message().find("not in the list") != std::string::npos;
  }));
  b.knows(a);
  REQUIRE(a.seen.wait_linked(b.self.node));
}

TEST_CASE("an agent or a link that dies comes back, and the nodes with it", "[links][network]") {
  test_node a{test_identity(2)}, b{test_identity(3)};
  require_linked(a, b);
  REQUIRE(b.network->kill("node-links/link-2"));
  REQUIRE(
      a.seen.wait([&] { return std::ranges::count_if(a.seen.events, &link_event::linked) == 2; }));
  REQUIRE(b.network->kill("node-links/agent"));
  // Those who are linked do not notice; those who come find the new agent.
  REQUIRE(a.network->send(b.self.node, {a.record(1)}).ok());
  REQUIRE(b.seen.wait([&] { return b.seen.got.size() == 1; }));
  test_node c{test_identity(1)};
  b.knows(c);
  c.knows(b);
  REQUIRE(c.seen.wait_linked(b.self.node));
  std::uint64_t restarts = 0;
  for (const auto& n : b.network->tree()) restarts += n.restarts;
  CHECK(restarts >= 1);
  CHECK_FALSE(b.network->kill("node-links/nobody"));
}

// -- refusals -----------------------------------------------------------------------------------

namespace {

/// What the two sides of a refusal say: the one that connects, and the other one, whose log has it.
void require_refused(node_identity stranger, op_code code) {
  test_node a{test_identity(9)};
  test_node b{stranger};
  introduce(a, b);
  auto& dials = stranger.node < a.self.node ? b : a;
  auto& other = stranger.node < a.self.node ? a : b;
  REQUIRE(dials.seen.wait_refusal(other.self.node, code));
  CHECK_FALSE(dials.report(other.self.node).linked);
  CHECK_FALSE(other.report(dials.self.node).linked);
  CHECK_FALSE(dials.report(other.self.node).reason.message().empty());
  CHECK(dials.network->send(other.self.node, {dials.record(1)}).code() == op_code::unavailable);
}

} // namespace

TEST_CASE("a node of another cluster is refused", "[links][refusal]") {
  auto stranger = test_identity(2);
  stranger.cluster = cluster_id{0xBAD};
  require_refused(stranger, op_code::unauthorized);
  stranger.node = node_id{12}; // the other way around
  require_refused(stranger, op_code::unauthorized);
}

TEST_CASE("a node that speaks another format is refused", "[links][refusal]") {
  auto stranger = test_identity(2);
  stranger.format = envelope_format + 1;
  require_refused(stranger, op_code::not_supported);
  stranger.node = node_id{12};
  require_refused(stranger, op_code::not_supported);
}

TEST_CASE("a node that answers at another one's address is refused", "[links][refusal]") {
  test_node a{test_identity(1)}, b{test_identity(3)};
  a.knows(node_id{2}, b.network->port());
  b.knows(a);
  REQUIRE(a.seen.wait_refusal(node_id{2}, op_code::invalid_argument));
  CHECK_FALSE(a.report(node_id{2}).linked);
}

TEST_CASE("a second node with an id that is linked is refused, and the first one stays",
          "[links][refusal]") {
  test_node a{test_identity(3)}, first{test_identity(2, 10)};
  require_linked(a, first);
  auto identity = test_identity(2, 11);
  identity.instance = 99; // another data folder
  test_node second{identity};
  second.knows(a);
  REQUIRE(second.seen.wait_refusal(a.self.node, op_code::already_exists));
  CHECK(a.report(node_id{2}).identity == first.self);
  REQUIRE(a.network->send(node_id{2}, {a.record(1)}).ok());
  REQUIRE(first.seen.wait([&] { return first.seen.got.size() == 1; }));
  CHECK(second.seen.got.empty());
}

TEST_CASE("an older boot of a node that was heard is refused", "[links][refusal]") {
  test_node a{test_identity(3)};
  {
    test_node newer{test_identity(2, 11)};
    require_linked(a, newer);
  }
  REQUIRE(a.seen.wait_lost(node_id{2}));
  test_node older{test_identity(2, 10)};
  older.knows(a);
  REQUIRE(older.seen.wait_refusal(a.self.node, op_code::already_exists));
}

TEST_CASE("a node that is its own peer's double is refused", "[links][refusal]") {
  test_node a{test_identity(2, 1)}, b{test_identity(2, 2)};
  a.knows(b); // its own id: no peer at all
  CHECK(a.network->report().empty());
  // Told of it under another id, it meets itself.
  a.knows(node_id{5}, b.network->port());
  REQUIRE(a.seen.wait_refusal(node_id{5}, op_code::already_exists));
}

TEST_CASE("garbage at the port does not disturb the links that are there", "[links][refusal]") {
  test_node a{test_identity(1)}, b{test_identity(2)};
  require_linked(a, b);
  std::mt19937_64 random{5};
  std::vector<loopback_socket> silent;
  for (int i = 0; i < 40; ++i) {
    auto socket = loopback_socket::connected(b.network->port());
    REQUIRE(socket);
    std::string bytes = i % 4 == 0 ? "GET / HTTP/1.1\r\nHost: somebody\r\n\r\n" : "";
    if (i % 4 == 1) bytes.assign(1'000, '\0');
    if (i % 4 == 2)
      for (int n = 0; n < 1'000; ++n) bytes += static_cast<char>(random());
    static_cast<void>(::send(socket.fd(), bytes.data(), bytes.size(), MSG_NOSIGNAL));
    if (i % 4 == 3) silent.push_back(std::move(socket));
  }
  for (lsn_t lsn = 1; lsn <= 100; ++lsn) REQUIRE(a.network->send(node_id{2}, {a.record(lsn)}).ok());
  REQUIRE(b.seen.wait([&] { return b.seen.got.size() == 100; }));
  CHECK(a.report(node_id{2}).lost == 0);
  CHECK(b.report(node_id{1}).malformed == 0);
}

TEST_CASE("a node that sends what no node sends loses its link and says hello again",
          "[links][refusal]") {
  test_node b{test_identity(2)};
  const auto self = test_identity(1);
  const auto nobody = loopback_socket::listening(); // the node of the test listens nowhere
  b.knows(self.node, nobody.port());
  const auto frame = [](std::uint32_t bytes, std::uint32_t kind, std::string body) {
    std::string all(8, '\0');
    std::memcpy(all.data(), &bytes, 4);
    std::memcpy(all.data() + 4, &kind, 4);
    return all + body;
  };
  const auto envelope = [](const node_identity& of) {
    const auto bytes = encode_envelope(of, {});
    return std::string{bytes->begin(), bytes->end()};
  };
  auto stranger = self;
  stranger.boot = rep::boot_id{self.boot.value + 1};
  std::vector<std::string> wrong{
      frame(0, 0, ""),                              // of no kind
      frame(0, 77, ""),                             // of an unknown one
      frame(7, 3, std::string(7, 'x')),             // no whole words
      frame(0xffff'fff8, 3, "x"),                   // longer than any
      frame(0, 3, ""),                              // an envelope of nothing
      frame(64, 3, std::string(64, '\xff')),        // no envelope
      frame(0, 5, ""),                              // a pong without a time
      frame(8, 5, std::string(7, '\xff') + '\x7f'), // for a ping that was not yet
      frame(8, 6, std::string(8, 'x')),             // a goodbye that says nothing
      frame(16, 1, std::string(16, '\0')),          // a second hello
  };
  for (const auto& other : {stranger, test_identity(3)}) {
    const auto body = envelope(other);
    wrong.push_back(frame(static_cast<std::uint32_t>(body.size()), 3, body));
  }
  std::mt19937_64 random{7};
  for (int i = 0; i < 20; ++i) {
    auto body = envelope(self);
    body[random() % body.size()] ^= static_cast<char>(1 + random() % 255);
    auto bytes = frame(static_cast<std::uint32_t>(body.size()), 3, body);
    if (i % 2 == 0)
      for (auto& c : bytes) c = static_cast<char>(random() | 1); // too long, or of no kind
    wrong.push_back(std::move(bytes));
  }
  std::uint64_t ended = 0;
  for (const auto& bytes : wrong) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{30};
    const auto socket = welcomed(b, self, until);
    REQUIRE(socket);
    static_cast<void>(socket->write_all(bytes, until));
    // A changed byte may leave an envelope one that can be: then we say goodbye ourselves.
    static_cast<void>(socket->write_all(frame(0, 77, ""), until));
    REQUIRE(b.seen.wait([&] {
      return std::ranges::count_if(b.seen.events, [](const link_event& e) {
               return !e.linked && e.reason.code() == op_code::corruption;
             }) > static_cast<std::ptrdiff_t>(ended);
    }));
    ++ended;
  }
  CHECK(b.report(self.node).malformed == wrong.size());
  CHECK(b.seen.got.empty());
}

TEST_CASE("a network whose port is taken does not start, and says which", "[links][refusal]") {
  const auto taken = loopback_socket::listening();
  auto options = test_node::fast_options();
  options.listen.port = taken.port();
  noting_listener seen;
  auto network = peer_network::make(test_identity(1), options, seen);
  REQUIRE(network.ok());
  const auto status = (*network)->start();
  CHECK(status.code() == op_code::unavailable);
  CHECK(status.message().find(std::to_string(taken.port())) != std::string::npos);
}

TEST_CASE("options that make no sense are refused before anything listens", "[links][refusal]") {
  noting_listener seen;
  const auto code = [&](auto change) {
    link_options o;
    change(o);
    return peer_network::make(test_identity(1), o, seen).code();
  };
  CHECK(code([](link_options&) {}) == op_code::ok);
  CHECK(code([](link_options& o) { o.silence_max = 3 * o.heartbeat; }) ==
        op_code::invalid_argument);
  CHECK(code([](link_options& o) { o.outbox_bytes = o.batch_bytes - 1; }) ==
        op_code::invalid_argument);
  CHECK(code([](link_options& o) { o.listen.host.clear(); }) == op_code::invalid_argument);
  CHECK(code([](link_options& o) {
          o.tls = tls_files{"none", "none", "none"};
        }) == op_code::invalid_argument);
  auto nobody = test_identity(0);
  CHECK(peer_network::make(nobody, {}, seen).code() == op_code::invalid_argument);
}
