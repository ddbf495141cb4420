#include "cluster/http_server.hpp"

#include "cluster/listen_socket.hpp"
#include "tests/support/http_client.hpp"

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>
#include <future>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>

using namespace warp;
using namespace warp::cluster;
using namespace warp::tests;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;
using std::chrono::steady_clock;

namespace {

struct fixture {
  std::mutex mutex;
  health_summary health{.ready = true};
  std::string metrics = "warp_up 1\n";
  http_server server;

  explicit fixture(http_server_options options = {})
      : server(
            [&] {
              options.listen = "127.0.0.1:0";
              return options;
            }(),
            {.metrics =
                 [this] {
                   std::lock_guard guard{mutex};
                   return metrics;
                 },
             .health =
                 [this] {
                   std::lock_guard guard{mutex};
                   return health;
                 }}) {
    REQUIRE(server.start().ok());
    REQUIRE(server.port() != 0);
  }

  void set(health_summary h) {
    std::lock_guard guard{mutex};
    health = std::move(h);
  }
  std::string get(std::string_view path) { return http_exchange(server.port(), "GET", path); }
  double metric(std::string_view name) {
    std::vector<actors::metric> all;
    server.collect(all);
    for (const auto& m : all)
      if (m.name == name) return m.values.at(0).value;
    FAIL("no such metric");
    return 0;
  }
};

std::string body_of(const std::string& response) {
  const auto end = response.find("\r\n\r\n");
  REQUIRE(end != std::string::npos);
  return response.substr(end + 4);
}

} // namespace

TEST_CASE("metrics are served as Prometheus text", "[http]") {
  fixture f;
  const auto response = f.get("/metrics");
  CHECK_THAT(response, StartsWith("HTTP/1.1 200 OK\r\n"));
  CHECK_THAT(response,
             ContainsSubstring("Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n"));
  CHECK_THAT(response, ContainsSubstring("Cache-Control: no-store\r\n"));
  CHECK(body_of(response) == "warp_up 1\n");
}

TEST_CASE("a query after the path is ignored", "[http]") {
  fixture f;
  CHECK_THAT(f.get("/metrics?name=x"), StartsWith("HTTP/1.1 200 "));
}

TEST_CASE("health follows the universe, the process is alive all the same", "[http]") {
  fixture f;
  CHECK_THAT(f.get("/readyz"), StartsWith("HTTP/1.1 200 "));
  auto page = nlohmann::json::parse(body_of(f.get("/healthz")));
  CHECK(page["status"] == "ok");
  CHECK(page["ready"] == true);

  f.set({.ready = true, .problems = {"log stream 0 refuses writes: no space left"}});
  CHECK_THAT(f.get("/readyz"), StartsWith("HTTP/1.1 200 "));
  auto response = f.get("/healthz");
  CHECK_THAT(response, StartsWith("HTTP/1.1 503 "));
  page = nlohmann::json::parse(body_of(response));
  CHECK(page["status"] == "degraded");
  CHECK(page["problems"].at(0) == "log stream 0 refuses writes: no space left");

  f.set({.ready = false,
         .problems = {"recovering: 3 of 64 shards", "bytes that are no UTF-8: \xff"}});
  response = f.get("/readyz");
  CHECK_THAT(response, StartsWith("HTTP/1.1 503 "));
  CHECK_THAT(response, ContainsSubstring("recovering: 3 of 64 shards\n"));
  CHECK(nlohmann::json::parse(body_of(f.get("/healthz")))["status"] == "not ready");
  CHECK_THAT(f.get("/livez"), StartsWith("HTTP/1.1 200 "));
}

TEST_CASE("HEAD answers like GET without a body", "[http]") {
  fixture f;
  raw_connection connection(f.server.port());
  REQUIRE(connection.send("HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n"));
  CHECK_THAT(connection.read_until("\r\n\r\n"),
             StartsWith("HTTP/1.1 200 ") && ContainsSubstring("Content-Length: 10\r\n"));
  // The next answer follows at once: no body stands between.
  REQUIRE(connection.send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"));
  CHECK_THAT(connection.read_until("alive\n"), StartsWith("HTTP/1.1 200 "));
}

TEST_CASE("other paths are not found, other methods are not allowed", "[http]") {
  fixture f;
  for (const auto* path : {"/", "/metric", "/metrics/", "/../etc/passwd", "//livez"}) {
    CAPTURE(path);
    CHECK_THAT(f.get(path), StartsWith("HTTP/1.1 404 "));
  }
  for (const auto* method : {"POST", "PUT", "DELETE", "OPTIONS", "PATCH"}) {
    CAPTURE(method);
    const auto response = http_exchange(f.server.port(), method, "/metrics");
    CHECK_THAT(response, StartsWith("HTTP/1.1 405 "));
    CHECK_THAT(response, ContainsSubstring("Allow: GET, HEAD\r\n"));
  }
}

TEST_CASE("one connection carries several requests", "[http]") {
  fixture f;
  raw_connection connection(f.server.port());
  for (int i = 0; i < 3; ++i) {
    REQUIRE(connection.send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"));
    CHECK_THAT(connection.read_until("alive\n"), StartsWith("HTTP/1.1 200 "));
  }
  CHECK(f.metric("warp_http_connections_total") == 1);
  CHECK(f.metric("warp_http_requests_total") == 3);
}

TEST_CASE("what is no HTTP gets a 400 and costs nobody else anything", "[http]") {
  fixture f;
  raw_connection connection(f.server.port());
  REQUIRE(connection.send("\x01\x02 warp\r\n\r\n"));
  CHECK_THAT(connection.read_all(), StartsWith("HTTP/1.1 "));
  CHECK_THAT(f.get("/livez"), StartsWith("HTTP/1.1 200 "));
}

TEST_CASE("a connection whose request head never ends is closed at 128 KiB", "[http]") {
  fixture f;
  raw_connection connection(f.server.port());
  connection.send("GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: " + std::string(200 * 1024, 'a'));
  CHECK_THAT(connection.read_all(), !StartsWith("HTTP/1.1 200"));
  CHECK_THAT(f.get("/livez"), StartsWith("HTTP/1.1 200 "));
}

TEST_CASE("a client that sends nothing is dropped after the header timeout", "[http]") {
  fixture f({.header_timeout = std::chrono::milliseconds(50)});
  raw_connection connection(f.server.port());
  connection.send("GET /li");
  connection.read_all(); // returns because the server has closed
  CHECK_THAT(f.get("/livez"), StartsWith("HTTP/1.1 200 "));
}

TEST_CASE("connections above the limit are closed at once and counted", "[http]") {
  fixture f({.connections_max = 2});
  raw_connection first(f.server.port()), second(f.server.port());
  for (auto* c : {&first, &second}) {
    REQUIRE(c->send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"));
    REQUIRE_THAT(c->read_until("alive\n"), StartsWith("HTTP/1.1 200 "));
  }
  raw_connection third(f.server.port());
  third.send("GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
  CHECK(third.read_all().empty());
  CHECK(f.metric("warp_http_connections_refused_total") == 1);
  CHECK(f.metric("warp_http_connections") == 2);
}

TEST_CASE("a port in use is unavailable, with the port and the way out in the message", "[http]") {
  fixture f;
  http_server other({.listen = f.server.address()}, {});
  const auto status = other.start();
  CHECK(status.code() == op_code::unavailable);
  CHECK_THAT(status.message(), ContainsSubstring("port " + std::to_string(f.server.port())) &&
                                   ContainsSubstring("in use") &&
                                   ContainsSubstring("--http.listen"));
  CHECK(other.health().code() == op_code::unavailable);
}

TEST_CASE("an address of another machine is refused with its reason", "[http]") {
  http_server server({.listen = "192.0.2.1:0"}, {});
  CHECK(server.start().code() == op_code::invalid_argument);
  CHECK(listen_socket::open("nonsense", "x").code() == op_code::invalid_argument);
}

TEST_CASE("stop closes the port, start opens the same one again", "[http]") {
  fixture f;
  const auto port = f.server.port();
  raw_connection idle(port);
  for (int round = 0; round < 3; ++round) {
    f.server.stop(steady_clock::now() + std::chrono::seconds(5));
    CHECK_FALSE(f.server.health().ok());
    CHECK(http_exchange(port, "GET", "/livez").empty());
    f.server.stop(steady_clock::now());
    REQUIRE(f.server.start().ok());
    REQUIRE(f.server.start().ok());
    CHECK(f.server.port() == port);
    CHECK_THAT(f.get("/livez"), StartsWith("HTTP/1.1 200 "));
  }
}

TEST_CASE("stop does not wait for a client that does not read its answer", "[http]") {
  fixture f;
  {
    std::lock_guard guard{f.mutex};
    f.metrics.assign(64u << 20, 'x');
  }
  raw_connection slow(f.server.port());
  REQUIRE(slow.send("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"));
  REQUIRE_THAT(slow.read_until("\r\n"), StartsWith("HTTP/1.1 200 "));
  f.server.stop(steady_clock::now() +
                std::chrono::milliseconds(50)); // returning at all is the claim
  CHECK_FALSE(f.server.health().ok());
}

TEST_CASE("a page that throws answers 500 and the server goes on", "[http]") {
  http_server server({.listen = "127.0.0.1:0"},
                     {.metrics = []() -> std::string { throw std::runtime_error("no numbers"); },
                      .health = [] { return health_summary{.ready = true}; }});
  REQUIRE(server.start().ok());
  CHECK_THAT(http_exchange(server.port(), "GET", "/metrics"),
             StartsWith("HTTP/1.1 500 ") && ContainsSubstring("no numbers"));
  CHECK_THAT(http_exchange(server.port(), "GET", "/readyz"), StartsWith("HTTP/1.1 200 "));
}
