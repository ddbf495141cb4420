#include "cluster/links/tls_files.hpp"

#include "tests/links/link_certificates.hpp"
#include "tests/links/link_fixture.hpp"
#include "tests/links/tcp_forwarder.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace warp;
using namespace warp::cluster::links;
using testing::link_certificates;
using testing::loopback_socket;

namespace {

link_options with(std::optional<tls_files> tls) {
  auto options = test_node::fast_options();
  options.dial_max = std::chrono::seconds{2};
  options.tls = std::move(tls);
  return options;
}

bool says(test_node& node, node_id peer, const std::string& text) {
  return node.seen.wait([&] {
    for (const auto& e : node.seen.events)
      if (e.node == peer && e.reason.message().find(text) != std::string::npos) return true;
    return false;
  });
}

} // namespace

TEST_CASE("nodes with certificates of one authority link by TLS", "[links][tls]") {
  link_certificates make;
  test_node a{test_identity(1), with(make.make("a", "one"))};
  test_node b{test_identity(2), with(make.make("b", "one"))};
  a.knows(b);
  b.knows(a);
  REQUIRE(a.seen.wait_linked(b.self.node));
  REQUIRE(b.seen.wait_linked(a.self.node));
  for (lsn_t lsn = 1; lsn <= 100; ++lsn)
    REQUIRE(a.network->send(b.self.node, {a.record(lsn, std::string(30'000, 'x'))}).ok());
  REQUIRE(b.network->send(a.self.node, {b.record(1, std::string(10u << 20, 'y'))}).ok());
  REQUIRE(b.seen.wait([&] { return b.seen.got.size() == 100; }));
  REQUIRE(a.seen.wait([&] { return a.seen.got.size() == 1; }));
  for (std::size_t i = 0; i < 100; ++i) REQUIRE(lsn_of(b.seen.got[i]) == i + 1);
  CHECK(a.report(b.self.node).lost == 0);
}

TEST_CASE("somebody without a certificate gets nowhere, and links by TLS outlive it",
          "[links][tls]") {
  link_certificates make;
  test_node a{test_identity(1), with(make.make("a", "one"))};
  test_node b{test_identity(2), with(make.make("b", "one"))};
  a.knows(b);
  b.knows(a);
  REQUIRE(a.seen.wait_linked(b.self.node));
  for (int i = 0; i < 3; ++i) {
    const auto stranger = loopback_socket::connected(b.network->port());
    REQUIRE(stranger);
    const std::string text(200, 'G');
    static_cast<void>(::send(stranger.fd(), text.data(), text.size(), MSG_NOSIGNAL));
  }
  for (lsn_t lsn = 1; lsn <= 1'000; ++lsn)
    REQUIRE(a.network->send(b.self.node, {a.record(lsn)}).ok());
  REQUIRE(b.seen.wait([&] { return b.seen.got.size() == 1'000; }));
  CHECK(b.report(a.self.node).lost == 0);
  CHECK(b.report(a.self.node).malformed == 0);
}

TEST_CASE("a certificate of another authority is refused, both sides say why, and links that stand "
          "outlive it",
          "[links][tls]") {
  link_certificates make;
  test_node a{test_identity(1), with(make.make("a", "one"))};
  test_node b{test_identity(2), with(make.make("b", "two"))};
  test_node friendly{test_identity(3), with(make.make("c", "one"))};
  a.knows(friendly);
  friendly.knows(a);
  REQUIRE(a.seen.wait_linked(friendly.self.node));
  REQUIRE(friendly.seen.wait_linked(a.self.node));
  a.knows(b);
  b.knows(a);
  REQUIRE(a.seen.wait_refusal(b.self.node, op_code::unauthorized));
  REQUIRE(b.seen.wait_refusal(a.self.node, op_code::unauthorized));
  CHECK(says(a, b.self.node, "certificate"));
  CHECK(says(b, a.self.node, "certificate"));
  CHECK_FALSE(a.report(b.self.node).linked);
  for (lsn_t lsn = 1; lsn <= 100; ++lsn)
    REQUIRE(a.network->send(friendly.self.node, {a.record(lsn)}).ok());
  REQUIRE(friendly.seen.wait([&] { return friendly.seen.got.size() == 100; }));
  CHECK(a.report(friendly.self.node).lost == 0);
}

TEST_CASE("a certificate for another name is refused", "[links][tls]") {
  link_certificates make;
  test_node a{test_identity(1), with(make.make("a", "one"))};
  test_node b{test_identity(2), with(make.make("b", "one", "somebody-else"))};
  a.knows(b);
  REQUIRE(a.seen.wait_refusal(b.self.node, op_code::unauthorized));
  CHECK(says(a, b.self.node, "ostname mismatch"));
}

TEST_CASE("a node with TLS and one without do not link, and both say so", "[links][tls]") {
  link_certificates make;
  test_node a{test_identity(1), with(make.make("a", "one"))};
  test_node b{test_identity(2), with({})};
  a.knows(b);
  b.knows(a);
  REQUIRE(a.seen.wait_refusal(b.self.node, op_code::unauthorized));
  CHECK(says(b, a.self.node, "wants TLS"));
  CHECK_FALSE(a.report(b.self.node).linked);
}

TEST_CASE("a key that does not fit its certificate stops the start, and is named", "[links][tls]") {
  link_certificates make;
  auto files = make.make("a", "one");
  files.key = make.make("b", "one").key;
  noting_listener seen;
  const auto made = peer_network::make(test_identity(1), with(files), seen);
  CHECK(made.code() == op_code::invalid_argument);
  CHECK(made.status().message().find(files.key) != std::string::npos);
}
