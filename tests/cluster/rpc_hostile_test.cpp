// Peers that do not keep to the protocol: the server drops them, counts them, and serves the
// others.
#include "tests/cluster/rpc_fixture.hpp"

#include "messages/conversion.hpp"
#include "messages/warp.capnp.h"

#include <arpa/inet.h>
#include <capnp/rpc.capnp.h>
#include <capnp/serialize.h>
#include <catch2/generators/catch_generators.hpp>
#include <cstring>
#include <netinet/in.h>
#include <poll.h>
#include <random>
#include <string>
#include <sys/socket.h>
#include <unistd.h>

namespace warp::cluster {
namespace {

using namespace std::chrono_literals;

/// A bare socket.
class peer {
public:
  explicit peer(const rpc_fixture& f) : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(f.server->port());
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0);
  }
  ~peer() { ::close(fd_); }
  peer(const peer&) = delete;
  peer& operator=(const peer&) = delete;

  /// As much as the server takes without waiting for long; false when it has hung up.
  bool send(const std::string& bytes) {
    std::size_t sent = 0;
    while (sent < bytes.size()) {
      const auto n = ::send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL);
      if (n <= 0) return false;
      sent += static_cast<std::size_t>(n);
    }
    return true;
  }
  /// Waits until the server has hung up; what it says before goes by.
  bool hung_up() {
    pollfd p{fd_, POLLIN, 0};
    char bytes[4096];
    for (;;) {
      if (::poll(&p, 1, 20'000) != 1) return false;
      if (::recv(fd_, bytes, sizeof bytes, 0) <= 0) return true;
    }
  }
  [[nodiscard]] int fd() const { return fd_; }

private:
  int fd_;
};

std::string numbers(std::initializer_list<std::uint32_t> list) {
  return {reinterpret_cast<const char*>(list.begin()), 4 * list.size()};
}

std::string bytes_of(capnp::MessageBuilder& message) {
  const auto words = capnp::messageToFlatArray(message);
  return {reinterpret_cast<const char*>(words.begin()), words.asBytes().size()};
}

/// The bootstrap question 0, and a login on its answer as question 1.
std::string bootstrap_and_login() {
  capnp::MallocMessageBuilder bootstrap;
  bootstrap.initRoot<capnp::rpc::Message>().initBootstrap().setQuestionId(0);
  capnp::MallocMessageBuilder login;
  auto call = login.initRoot<capnp::rpc::Message>().initCall();
  call.setQuestionId(1);
  call.initTarget().initPromisedAnswer().setQuestionId(0);
  call.setInterfaceId(capnp::typeId<wire::Warp>());
  call.setMethodId(0);
  call.initParams().getContent().initAs<wire::Warp::LoginParams>();
  return bytes_of(bootstrap) + bytes_of(login);
}

/// A get of `key` on the session that question 1 answers with.
std::string get_call(std::uint32_t question, const std::string& key) {
  capnp::MallocMessageBuilder message;
  auto call = message.initRoot<capnp::rpc::Message>().initCall();
  call.setQuestionId(question);
  auto target = call.initTarget().initPromisedAnswer();
  target.setQuestionId(1);
  target.initTransform(1)[0].setGetPointerField(0);
  call.setInterfaceId(capnp::typeId<wire::Session>());
  call.setMethodId(2);
  call.initParams().getContent().initAs<wire::Session::GetParams>().setKey(as_data(key));
  return bytes_of(message);
}

TEST_CASE("a peer that breaks the framing is dropped, counted, and nobody else notices",
          "[cluster][rpc][hostile]") {
  rpc_fixture f{false};
  const auto bystander = f.connect();
  peer p{f};
  SECTION("a giant segment") {
    p.send(numbers({0, 0xffff'ffff}));
  }
  SECTION("too many segments") {
    p.send(numbers({100'000, 1}));
  }
  SECTION("a giant sum") {
    p.send(numbers({3, 1u << 19, 1u << 19, 1u << 19, 1u << 19, 0}));
  }
  SECTION("the end within a message") {
    p.send(numbers({0, 10, 1, 2, 3, 4}));
    ::shutdown(p.fd(), SHUT_WR);
  }
  SECTION("a well-formed frame that is no message") {
    p.send(numbers({0, 1, 0xffff'ffff, 0xffff'ffff}));
  }
  SECTION("an HTTP request") {
    p.send("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n");
  }
  CHECK(p.hung_up());
  while (f.server->counters().connections_dropped == 0) std::this_thread::yield();
  CHECK(f.server->counters().connections_dropped == 1);
  CHECK(bystander->put("key", "value").ok());
}

TEST_CASE("random bytes never bring the server down", "[cluster][rpc][hostile]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random{seed};
  rpc_fixture f{false};
  const auto bystander = f.connect();
  for (int round = 0; round < 100; ++round) {
    peer p{f};
    std::string bytes;
    // Plausible frames with random content reach further than random frames.
    for (int frame = 0; frame < 5; ++frame) {
      const std::uint32_t words = 1 + random() % 40;
      bytes += numbers({0, words});
      for (std::uint32_t i = 0; i < 2 * words; ++i)
        bytes += numbers({random() % 3 ? 0u : std::uint32_t(random() % 300)});
    }
    p.send(bytes);
    ::shutdown(p.fd(), SHUT_WR);
    CHECK(p.hung_up());
  }
  CHECK(bystander->put("key", "value").ok());
}

TEST_CASE("damaged calls never bring the server down", "[cluster][rpc][hostile]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random{seed};
  rpc_fixture f{false};
  const auto bystander = f.connect();
  const auto good = bootstrap_and_login() + get_call(2, "key") + get_call(3, "other");
  for (int round = 0; round < 300; ++round) {
    auto bytes = good;
    for (auto flips = 1 + random() % 4; flips > 0; --flips)
      bytes[random() % bytes.size()] ^= static_cast<char>(1 << random() % 8);
    peer p{f};
    p.send(bytes);
    ::shutdown(p.fd(), SHUT_WR);
    CHECK(p.hung_up());
  }
  CHECK(bystander->put("key", "value").ok());
}

TEST_CASE("the hand-made calls are what they should be", "[cluster][rpc][hostile]") {
  rpc_fixture f{false};
  REQUIRE(f.connect()->put("key", "a value that can be found").ok());
  peer p{f};
  p.send(bootstrap_and_login() + get_call(2, "key"));
  ::shutdown(p.fd(), SHUT_WR);
  std::string all;
  char bytes[4096];
  for (ssize_t n; (n = ::recv(p.fd(), bytes, sizeof bytes, 0)) > 0;)
    all.append(bytes, static_cast<std::size_t>(n));
  CHECK(all.find("a value that can be found") != std::string::npos);
}

TEST_CASE("a peer that does not log in is dropped", "[cluster][rpc][hostile]") {
  rpc_server_options options;
  options.login_max = 30ms;
  rpc_fixture f{false, options};
  const auto bystander = f.connect();
  peer p{f};
  CHECK(p.hung_up());
  CHECK(bystander->ping().ok());
}

TEST_CASE("a peer that asks and does not listen is paused, then dropped",
          "[cluster][rpc][hostile]") {
  rpc_server_options options;
  options.output_buffer_bytes = 256 * 1024;
  options.output_stall_max = 200ms;
  rpc_fixture f{false, options};
  const auto bystander = f.connect();
  REQUIRE(bystander->put("key", std::string(1u << 20, 'v')).ok());
  peer p{f};
  timeval patience{0, 100'000};
  ::setsockopt(p.fd(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  p.send(bootstrap_and_login());
  // Each call asks for a megabyte that is never read. The server stops to read long before it has
  // answered all of them.
  for (std::uint32_t i = 2; i < 200'000; ++i)
    if (!p.send(get_call(i, "key"))) break;
  while (f.server->counters().slow_consumers_dropped == 0) std::this_thread::yield();
  const auto& counters = f.server->counters();
  CHECK(counters.connections_dropped == 1);
  // What it did not hold in memory, it did not execute either.
  CHECK(counters.operations < 2'000);
  CHECK(bystander->ping().ok());
}

TEST_CASE("connections that come and go leave nothing behind", "[cluster][rpc][hostile]") {
  rpc_fixture f{false};
  for (int i = 0; i < 200; ++i) {
    peer p{f};
    if (i % 2) p.send(bootstrap_and_login().substr(0, 30));
  }
  while (f.server->counters().connections_opened < 200 ||
         f.server->counters().connections_open != 0)
    std::this_thread::yield();
  CHECK(f.connect()->ping().ok());
}

} // namespace
} // namespace warp::cluster
