#include "cluster/etcd/client.hpp"

#include "cluster/etcd/blocking_calls.hpp"
#include "tests/etcd/fake_gateway.hpp"
#include "tests/support/etcd_process.hpp"

#include <catch2/catch_test_macros.hpp>
#include <cstdlib>
#include <future>

using namespace warp;
using namespace warp::cluster::etcd;
using namespace std::chrono_literals;
using warp::testing::etcd_process;
using warp::testing::fake_gateway;
using warp::testing::header_json;
using warp::testing::http_answer;
using outcome = txn_result::outcome;
using reaction = fake_gateway::reaction;

namespace {

client_options patient(std::vector<std::string> endpoints) {
  client_options options;
  options.connection.endpoints = std::move(endpoints);
  options.connection.connect_timeout = 600s;
  options.attempt_timeout = 600s;
  options.request_timeout = 1'200s;
  return options;
}

std::unique_ptr<client> client_of(client_options options) {
  auto made = client::create(std::move(options));
  if (!made) throw std::runtime_error(made.status().to_string());
  return std::move(*made);
}

const std::string range_body = "{" + header_json() + "}";
const std::string txn_body = "{" + header_json() + R"(,"succeeded":true})";
const txn_request change_of_k{.compares = {{.key = "k", .revision = 3}},
                              .success = {put_request{"k", "v"}}};

} // namespace

TEST_CASE("a transaction is sent once, whatever becomes of its answer", "[etcd][faults]") {
  const auto whole = http_answer(txn_body);
  const std::vector<std::pair<std::string, reaction>> faults = {
      {"the connection ends", {.close = true}},
      {"it is reset", {.forget = true}},
      {"within the status line", {.bytes = "HTTP/1", .close = true}},
      {"within the head", {.bytes = whole.substr(0, 40), .close = true}},
      {"within the body", {.bytes = whole.substr(0, whole.size() - 3), .close = true}},
      {"no HTTP", {.bytes = "SSH-2.0-OpenSSH_9.2\r\n", .close = true}},
      {"no JSON", {.bytes = http_answer("<html>no</html>")}},
      {"half of the JSON", {.bytes = http_answer(txn_body.substr(0, 30))}},
      {"a header without a cluster", {.bytes = http_answer(R"({"succeeded":true})")}},
      {"a proxy's error", {.bytes = http_answer("<html>bad gateway</html>", 502)}},
      {"etcd has no leader",
       {.bytes = http_answer(R"({"error":"etcdserver: no leader","code":14})", 503)}},
      {"etcd's own time is up",
       {.bytes = http_answer(R"({"error":"etcdserver: request timed out","code":14})", 503)}}};
  for (const auto& [what, fault] : faults) {
    for (const bool reused : {false, true}) {
      CAPTURE(what, reused);
      fake_gateway gateway{[&](const fake_gateway::request& r) {
        return r.path == "/v3/kv/txn" ? fault : reaction{.bytes = http_answer(range_body)};
      }};
      auto c = client_of(patient({gateway.endpoint()}));
      if (reused) REQUIRE(range_now(*c, {.keys = {"k"}}).ok());
      const auto result = txn_now(*c, change_of_k);
      CHECK(result.what == outcome::unknown);
      CHECK(result.status.code() == op_code::outcome_unknown);
      CHECK(result.status.message().find(gateway.endpoint()) != std::string::npos);
      CHECK(gateway.requests().size() == (reused ? 2 : 1));
    }
  }
}

TEST_CASE("a read is made again until it is answered", "[etcd][faults]") {
  fake_gateway gateway{[](const fake_gateway::request& r) -> reaction {
    switch (r.number) {
    case 1:
      return {.forget = true};
    case 2:
      return {.bytes = "HTTP/1.1 200 OK\r\nContent-Le", .close = true};
    case 3:
      return {.bytes = http_answer(R"({"error":"etcdserver: no leader","code":14})", 503)};
    default:
      return {.bytes = http_answer(range_body)};
    }
  }};
  auto c = client_of(patient({gateway.endpoint()}));
  const auto answer = range_now(*c, {.keys = {"k"}});
  CHECK(answer.ok());
  CHECK(gateway.requests().size() == 4);
  CHECK(c->counters().attempts == 4);
  CHECK(c->counters().failures == 3);
}

TEST_CASE("what etcd refuses was not done, and is not tried again", "[etcd][faults]") {
  const std::vector<std::pair<int, op_code>> refusals = {
      {3, op_code::invalid_argument}, {5, op_code::not_found},
      {7, op_code::unauthorized},     {8, op_code::overloaded},
      {9, op_code::invalid_argument}, {11, op_code::invalid_argument},
      {16, op_code::unauthorized}};
  for (const auto& [code, expected] : refusals) {
    CAPTURE(code);
    fake_gateway gateway{[code = code](const fake_gateway::request&) -> reaction {
      return {.bytes = http_answer(
                  R"({"error":"etcdserver: no","code":)" + std::to_string(code) + "}", 400)};
    }};
    auto c = client_of(patient({gateway.endpoint()}));
    const auto result = txn_now(*c, change_of_k);
    CHECK(result.what == outcome::not_done);
    CHECK(result.status.code() == expected);
    CHECK(range_now(*c, {.keys = {"k"}}).code() == expected);
    CHECK(gateway.requests().size() == 2);
  }
}

TEST_CASE(
    "a transaction whose answer is cut off was done, and failing to do it again proves nothing",
    "[etcd][faults]") {
  etcd_process etcd;
  for (const std::size_t cut : {std::size_t{0}, std::size_t{20}, std::size_t{200}}) {
    CAPTURE(cut);
    fake_gateway between{etcd.port(), [&](int number, std::size_t size) {
                           return number == 2 ? std::min(cut, size) : size;
                         }};
    auto c = client_of(patient({between.endpoint()}));
    const auto key = "/cut/" + std::to_string(cut);
    const auto before = put_now(*c, {key, "0"});
    REQUIRE(before.ok());
    const txn_request change{.compares = {{.key = key, .revision = before->header.revision}},
                             .success = {put_request{key, "1"}},
                             .failure = {{.keys = {key}}}};
    REQUIRE(txn_now(*c, change).what == outcome::unknown);
    const auto again = txn_now(*c, change);
    INFO(again.status.to_string());
    REQUIRE(again.what == outcome::compare_failed);
    REQUIRE(again.ranges.size() == 1);
    CHECK(again.ranges[0].keys.at(0).value == "1"); // by the first one
    CHECK(again.ranges[0].keys.at(0).mod_revision > before->header.revision);
    CHECK(between.requests().size() == 3);
  }
}

TEST_CASE("an answer longer than its bound is refused, with little in memory", "[etcd][faults]") {
  fake_gateway gateway{[](const fake_gateway::request& r) -> reaction {
    const std::string half(1u << 20, ' ');
    if (r.number % 2 == 0) // chunked, so that no length warns
      return {.bytes = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n100000\r\n" + half +
                       "\r\n100000\r\n" + half + "\r\n",
              .stall = true};
    return {.bytes = http_answer(half)};
  }};
  auto options = patient({gateway.endpoint()});
  options.answer_bytes_max = 64 * 1024;
  auto c = client_of(options);
  for (int i = 0; i < 2; ++i) {
    const auto answer = range_now(*c, {.keys = {"k"}});
    CHECK(answer.code() == op_code::overloaded);
    CHECK(answer.status().message().find("65536 bytes") != std::string::npos);
  }
  CHECK(txn_now(*c, change_of_k).what == outcome::unknown);
}

TEST_CASE("an endpoint that is slow loses a read to the next one", "[etcd][faults]") {
  fake_gateway slow{[](const fake_gateway::request&) -> reaction { return {.stall = true}; }};
  fake_gateway quick{
      [](const fake_gateway::request&) -> reaction { return {.bytes = http_answer(range_body)}; }};
  auto options = patient({slow.endpoint(), quick.endpoint()});
  options.attempt_timeout = 50ms;
  while (slow.requests().empty()) { // where a client begins is random
    auto c = client_of(options);
    CHECK(range_now(*c, {.keys = {"k"}}).ok());
  }
  CHECK(!quick.requests().empty());
}

TEST_CASE("what finds no room is refused at once, and nothing of it is sent", "[etcd][faults]") {
  fake_gateway gateway{[](const fake_gateway::request&) -> reaction {
    return {.bytes = http_answer(range_body), .stall = true};
  }};
  auto options = patient({gateway.endpoint()});
  options.in_flight_max = 2;
  options.queue_max = 5;
  std::atomic<int> answered{0}, refused{0};
  {
    fake_gateway silent{[](const fake_gateway::request&) -> reaction { return {.stall = true}; }};
    options.connection.endpoints = {silent.endpoint()};
    auto c = client_of(options);
    for (int i = 0; i < 7; ++i)
      c->range({.keys = {"k"}},
               [&](auto answer) { ++(answer.code() == op_code::overloaded ? refused : answered); });
    CHECK(refused == 2);
    CHECK(c->counters().refused == 2);
    REQUIRE(silent.wait_for_requests(2));
    CHECK(silent.requests().size() == 2);
  }
  CHECK(answered == 5); // each is called back, at the latest by the end of the client
}

TEST_CASE("the end of a client says what was sent and what was not", "[etcd][faults]") {
  fake_gateway silent{[](const fake_gateway::request&) -> reaction { return {.stall = true}; }};
  auto options = patient({silent.endpoint()});
  options.in_flight_max = 1;
  std::vector<txn_result> results;
  op_status read;
  {
    auto c = client_of(options);
    c->txn(change_of_k, [&](txn_result result) {
      results.push_back(std::move(result));
      // The end has come: answered at once.
      c->range({.keys = {"k"}}, [&](auto answer) { read = answer.status(); });
    });
    c->txn(change_of_k, [&](txn_result result) { results.push_back(std::move(result)); });
    REQUIRE(silent.wait_for_requests(1));
  }
  REQUIRE(results.size() == 2);
  CHECK(results[0].what == outcome::unknown);
  CHECK(results[1].what == outcome::not_done);
  CHECK(results[1].status.code() == op_code::shutting_down);
  CHECK(read.code() == op_code::shutting_down);
  CHECK(silent.requests().size() == 1);
}

TEST_CASE("an endpoint of another etcd cluster is not believed", "[etcd][faults]") {
  fake_gateway one{[](const fake_gateway::request& r) -> reaction {
    // Answers once, then sends everybody to the other one.
    if (r.number == 1) return {.bytes = http_answer(range_body)};
    return {.forget = true};
  }};
  fake_gateway other{[](const fake_gateway::request&) -> reaction {
    return {.bytes = http_answer("{" + header_json(8) + "}")};
  }};
  op_result<range_answer> second = op_code::ok;
  do {
    auto c = client_of(patient({one.endpoint(), other.endpoint()}));
    REQUIRE(range_now(*c, {.keys = {"k"}}).ok());
    second = range_now(*c, {.keys = {"k"}});
  } while (second.ok()); // it began with the other one, and stayed there
  CHECK(second.code() == op_code::corruption);
  CHECK(second.status().message().find("all endpoints must be of one") != std::string::npos);
}

TEST_CASE("the proxy that the environment names is not asked", "[etcd][faults]") {
  fake_gateway proxy{[](const fake_gateway::request&) -> reaction { return {.forget = true}; }};
  fake_gateway gateway{
      [](const fake_gateway::request&) -> reaction { return {.bytes = http_answer(range_body)}; }};
  ::setenv("http_proxy", proxy.endpoint().c_str(), 1);
  auto c = client_of(patient({gateway.endpoint()}));
  CHECK(range_now(*c, {.keys = {"k"}}).ok());
  CHECK(proxy.connections() == 0);
  ::unsetenv("http_proxy");
}
