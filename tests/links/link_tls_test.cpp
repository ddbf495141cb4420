#include "cluster/links/tls_files.hpp"

#include "tests/links/link_fixture.hpp"
#include "tests/links/tcp_forwarder.hpp"
#include "tests/links/test_certificates.hpp"

#include <catch2/catch_test_macros.hpp>

using namespace warp;
using namespace warp::cluster::links;
using testing::loopback_socket;
using testing::test_certificates;

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
  test_certificates make;
  test_node a{test_identity(1), with(make.make("a", "one"))};
  test_node b{test_identity(2), with(make.make("b", "one"))};
  a.knows(b);
  b.knows(a);
  REQUIRE(a.seen.wait_linked(b.self.node));
  REQUIRE(b.seen.wait_linked(a.self.node));
  REQUIRE(a.network->send(b.self.node, {a.record(1, std::string(3u << 20, 'x'))}).ok());
  REQUIRE(b.seen.wait([&] { return b.seen.got.size() == 1; }));
  // Somebody without a certificate gets nowhere, and disturbs nobody.
  const auto stranger = loopback_socket::connected(b.network->port());
  REQUIRE(stranger);
  const std::string text(200, 'G');
  static_cast<void>(::send(stranger.fd(), text.data(), text.size(), MSG_NOSIGNAL));
  REQUIRE(a.network->send(b.self.node, {a.record(2)}).ok());
  REQUIRE(b.seen.wait([&] { return b.seen.got.size() == 2; }));
  CHECK(a.report(b.self.node).lost == 0);
}

TEST_CASE("a certificate of another authority is refused, and both sides say why", "[links][tls]") {
  test_certificates make;
  test_node a{test_identity(1), with(make.make("a", "one"))};
  test_node b{test_identity(2), with(make.make("b", "two"))};
  a.knows(b);
  b.knows(a);
  REQUIRE(a.seen.wait_refusal(b.self.node, op_code::unauthorized));
  REQUIRE(b.seen.wait_refusal(a.self.node, op_code::unauthorized));
  CHECK(says(a, b.self.node, "certificate"));
  CHECK(says(b, a.self.node, "certificate"));
  CHECK_FALSE(a.report(b.self.node).linked);
}

TEST_CASE("a certificate for another name is refused", "[links][tls]") {
  test_certificates make;
  test_node a{test_identity(1), with(make.make("a", "one"))};
  test_node b{test_identity(2), with(make.make("b", "one", "somebody-else"))};
  a.knows(b);
  REQUIRE(a.seen.wait_refusal(b.self.node, op_code::unauthorized));
  CHECK(says(a, b.self.node, "ostname mismatch"));
}

TEST_CASE("a node with TLS and one without do not link, and both say so", "[links][tls]") {
  test_certificates make;
  test_node a{test_identity(1), with(make.make("a", "one"))};
  test_node b{test_identity(2), with({})};
  a.knows(b);
  b.knows(a);
  REQUIRE(a.seen.wait_refusal(b.self.node, op_code::unauthorized));
  CHECK(says(b, a.self.node, "wants TLS"));
  CHECK_FALSE(a.report(b.self.node).linked);
}

TEST_CASE("a key that does not fit its certificate stops the start, and is named", "[links][tls]") {
  test_certificates make;
  auto files = make.make("a", "one");
  files.key = make.make("b", "one").key;
  noting_listener seen;
  const auto made = peer_network::make(test_identity(1), with(files), seen);
  CHECK(made.code() == op_code::invalid_argument);
  CHECK(made.status().message().find(files.key) != std::string::npos);
}
