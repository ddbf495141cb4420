#include "cluster/etcd/prefix_watch.hpp"

#include "cluster/etcd/blocking_calls.hpp"
#include "tests/etcd/fake_gateway.hpp"
#include "tests/etcd/ring_log.hpp"
#include "tests/support/etcd_process.hpp"

#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <cstdio>
#include <cstdlib>
#include <thread>

using namespace warp;
using namespace warp::cluster::etcd;
using namespace std::chrono_literals;
using warp::testing::etcd_process;
using warp::testing::fake_gateway;
using warp::testing::header_json;
using warp::testing::http_answer;
using warp::testing::ring_log;

namespace {

std::unique_ptr<client> client_of(std::vector<std::string> endpoints) {
  client_options options;
  options.connection.endpoints = std::move(endpoints);
  options.connection.connect_timeout = 600s;
  options.attempt_timeout = 600s;
  options.request_timeout = 1'200s;
  auto made = client::create(std::move(options));
  if (!made) throw std::runtime_error(made.status().to_string());
  return std::move(*made);
}

std::unique_ptr<prefix_watch> watch_of(client& via, ring_log& log, watch_options options = {}) {
  if (options.prefix.empty()) options.prefix = "/w/";
  auto made = prefix_watch::create(via, options, [&log](const doorbell& ring) { log(ring); });
  if (!made) throw std::runtime_error(made.status().to_string());
  return std::move(*made);
}

revision_t put(client& via, const std::string& key, const std::string& value = "v") {
  const auto done = put_now(via, {key, value});
  if (!done) throw std::runtime_error(done.status().to_string());
  return done->header.revision;
}

/// Everything before this revision is forgotten.
void compact(etcd_process& etcd, revision_t revision) {
  const auto command = "ETCDCTL_API=3 etcdctl --endpoints=" + etcd.endpoint() + " compaction " +
                       std::to_string(revision) + " >/dev/null 2>&1";
  if (std::system(command.c_str()) != 0) throw std::runtime_error(command);
}

std::string chunked_head() {
  return "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
}
std::string chunk(const std::string& bytes) {
  char size[32];
  std::snprintf(size, sizeof size, "%zx\r\n", bytes.size());
  return size + bytes + "\r\n";
}
std::string created_line(unsigned long revision) {
  return R"({"result":{)" + header_json(7, revision) + R"(,"created":true}})" + "\n";
}

} // namespace

TEST_CASE("a watch rings once for what is there, then for each key that changes", "[etcd][watch]") {
  etcd_process etcd;
  auto c = client_of({etcd.endpoint()});
  put(*c, "/w/old");
  ring_log log;
  auto watch = watch_of(*c, log);
  REQUIRE(log.wait_for_any());
  const auto first = put(*c, "/w/a");
  put(*c, "/x/other");
  const auto second = put(*c, "/w/b");
  REQUIRE(erase_now(*c, {{"/w/old"}}).ok());
  REQUIRE(log.wait_for("/w/a", first));
  REQUIRE(log.wait_for("/w/b", second));
  REQUIRE(log.wait_for("/w/old", second + 1));
  for (const auto& ring : log.rings())
    for (const auto& key : ring.keys) CHECK(key.starts_with("/w/"));
  CHECK(log.rings().front().keys.empty());
}

TEST_CASE("a stream that is cut resumes behind what it has told, and tells nothing twice",
          "[etcd][watch]") {
  etcd_process etcd;
  fake_gateway between{etcd.port(), [](int, std::size_t size) { return size; }};
  auto direct = client_of({etcd.endpoint()});
  auto c = client_of({between.endpoint()});
  ring_log log;
  auto watch = watch_of(*c, log);
  REQUIRE(log.wait_for_any());
  int rings = 0;
  for (int round = 0; round < 5; ++round) {
    const auto before = put(*direct, "/w/" + std::to_string(round) + "a");
    REQUIRE(log.wait_for("/w/" + std::to_string(round) + "a", before));
    between.drop_connections();
    const auto meanwhile = put(*direct, "/w/" + std::to_string(round) + "b");
    REQUIRE(log.wait_for("/w/" + std::to_string(round) + "b", meanwhile));
    rings += 2;
  }
  int told = 0;
  for (const auto& ring : log.rings()) told += static_cast<int>(ring.keys.size());
  CHECK(told == rings);
}

TEST_CASE("a watch outlives an etcd that is killed, and one that stands still", "[etcd][watch]") {
  etcd_process etcd;
  auto c = client_of({etcd.endpoint()});
  ring_log log;
  auto watch = watch_of(*c, log);
  REQUIRE(log.wait_for_any());
  REQUIRE(log.wait_for("/w/1", put(*c, "/w/1")));
  etcd.kill();
  etcd.start();
  REQUIRE(log.wait_for("/w/2", put(*c, "/w/2")));
  etcd.pause();
  etcd.resume();
  REQUIRE(log.wait_for("/w/3", put(*c, "/w/3")));
}

TEST_CASE("what was compacted away under a watch is told by a list", "[etcd][watch]") {
  etcd_process etcd;
  std::atomic<bool> open{true};
  // While it is closed nothing comes through: no byte of any answer.
  fake_gateway between{etcd.port(), [&](int, std::size_t size) { return open ? size : 0; }};
  auto direct = client_of({etcd.endpoint()});
  client_options options;
  options.connection.endpoints = {between.endpoint()};
  auto made = client::create(options);
  REQUIRE(made.ok());
  auto& c = **made;
  put(*direct, "/w/gone");
  ring_log log;
  auto watch = watch_of(c, log);
  REQUIRE(log.wait_for_any());
  REQUIRE(log.wait_for("/w/1", put(*direct, "/w/1")));
  open = false;
  between.drop_connections();
  put(*direct, "/w/2");
  REQUIRE(erase_now(*direct, {{"/w/gone"}}).ok());
  const auto last = put(*direct, "/w/3");
  put(*direct, "/x");
  compact(etcd, last + 1);
  open = true;
  CHECK(log.wait_for("/w/2", last));
  CHECK(log.wait_for("/w/gone", last));
  CHECK(log.wait_for("/w/3", last));
  // And it goes on from there.
  CHECK(log.wait_for("/w/4", put(*direct, "/w/4")));
}

TEST_CASE("a stream that etcd ends as compacted begins anew behind a list", "[etcd][watch]") {
  // The list says 5; when the stream asks from 6 on, that is gone already.
  std::atomic<int> streams{0};
  fake_gateway gateway{[&](const fake_gateway::request& r) -> fake_gateway::reaction {
    if (r.path == "/v3/kv/range")
      return {.bytes = http_answer("{" + header_json(7, streams == 0 ? 5 : 9) +
                                   R"(,"kvs":[{"key":"L3cvYQ==","mod_revision":")" +
                                   (streams == 0 ? "5" : "9") +
                                   R"(","create_revision":"5","value":""}]})")};
    if (++streams == 1)
      return {
          .bytes =
              chunked_head() +
              chunk(
                  R"({"result":{)" + header_json(7, 9) + R"(,"created":true}})" + "\n" +
                  R"({"result":{"header":{"cluster_id":"7"},"canceled":true,"compact_revision":"8"}})" +
                  "\n"),
          .stall = true};
    return {.bytes = chunked_head() + chunk(created_line(9)), .stall = true};
  }};
  auto c = client_of({gateway.endpoint()});
  ring_log log;
  auto watch = watch_of(*c, log);
  REQUIRE(log.wait_for("/w/a", 9));
  CHECK(watch->counters().compactions == 1);
  REQUIRE(gateway.wait_for_requests(4));
  // "L3cv": behind /w/, from 10 on.
  std::string last;
  while (last.empty())
    for (const auto& r : gateway.requests())
      if (r.path == "/v3/watch" && r.body.find(R"("start_revision":"10")") != std::string::npos)
        last = r.body;
  CHECK(last.find("L3cv") != std::string::npos);
}

TEST_CASE("what a deaf stream does not tell the next list tells, and another stream is opened",
          "[etcd][watch]") {
  std::atomic<int> revision{5}, streams{0};
  fake_gateway gateway{[&](const fake_gateway::request& r) -> fake_gateway::reaction {
    if (r.path != "/v3/kv/range") {
      ++streams;
      return {.bytes = chunked_head() + chunk(created_line(5)), .stall = true};
    }
    const auto now = std::to_string(revision.load());
    return {.bytes = http_answer("{" + header_json(7, static_cast<unsigned long>(revision)) +
                                 R"(,"kvs":[{"key":"L3cvYQ==","mod_revision":")" + now + "\"}]}")};
  }};
  auto c = client_of({gateway.endpoint()});
  ring_log log;
  auto watch = watch_of(*c, log, {.prefix = "/w/", .relist_interval = 20ms});
  REQUIRE(log.wait_for_any());
  while (watch->counters().connects < 1 || watch->counters().lists < 4) std::this_thread::yield();
  revision = 9;
  REQUIRE(log.wait_for("/w/a", 9));
  CHECK(watch->counters().missed >= 1);
  while (streams < 2) std::this_thread::yield();
  CHECK(watch->counters().connects >= 1);
}

TEST_CASE("an etcd that was set back rings for every key", "[etcd][watch]") {
  std::atomic<int> revision{50};
  fake_gateway gateway{[&](const fake_gateway::request& r) -> fake_gateway::reaction {
    const auto now = static_cast<unsigned long>(revision);
    if (r.path != "/v3/kv/range")
      return {.bytes = chunked_head() + chunk(created_line(now)), .stall = true};
    const std::string key = now == 50 ? "L3cvYQ==" : "L3cvYg=="; // a, b
    return {.bytes = http_answer("{" + header_json(7, now) + R"(,"kvs":[{"key":")" + key +
                                 R"(","mod_revision":"3"}]})")};
  }};
  auto c = client_of({gateway.endpoint()});
  ring_log log;
  auto watch = watch_of(*c, log, {.prefix = "/w/", .relist_interval = 20ms});
  REQUIRE(log.wait_for_any());
  revision = 4;
  REQUIRE(log.wait_for_rings(2));
  const auto rings = log.rings();
  CHECK(rings.back().revision == 4);
  CHECK(rings.back().keys == std::vector<std::string>{"/w/a", "/w/b"});
}

TEST_CASE("garbage, errors and endless lines end a stream, and it comes back", "[etcd][watch]") {
  std::atomic<int> streams{0};
  fake_gateway gateway{[&](const fake_gateway::request& r) -> fake_gateway::reaction {
    if (r.path == "/v3/kv/range") return {.bytes = http_answer("{" + header_json(7, 5) + "}")};
    switch (++streams) {
    case 1:
      return {.bytes = "no HTTP at all\r\n\r\n", .close = true};
    case 2:
      return {.bytes = chunked_head() + chunk("<html>\n"), .stall = true};
    case 3:
      return {.bytes = http_answer(R"({"error":{"message":"no leader"}})", 503)};
    case 4:
      return {.bytes = chunked_head() + chunk(created_line(5)) + chunk(std::string(5'000, ' ')),
              .stall = true};
    case 5:
      return {.bytes = chunked_head() + chunk(created_line(5)) + chunk("{\"result\":{}}\n"),
              .stall = true};
    case 6:
      return {.bytes = chunked_head() + chunk(created_line(5)) + "zz\r\n", .close = true};
    default: {
      // An event in pieces of one byte.
      const auto line = R"({"result":{)" + header_json(7, 6) +
                        R"(,"events":[{"kv":{"key":"L3cvYQ==","mod_revision":"6"}}]}})" + "\n";
      auto bytes = chunked_head() + chunk(created_line(5));
      for (const char c : line) bytes += chunk(std::string(1, c));
      return {.bytes = bytes, .stall = true};
    }
    }
  }};
  auto c = client_of({gateway.endpoint()});
  ring_log log;
  auto watch = watch_of(*c, log, {.prefix = "/w/", .line_bytes_max = 1'000});
  REQUIRE(log.wait_for("/w/a", 6));
  CHECK(streams == 7);
  CHECK(watch->counters().connects == 4);
}

TEST_CASE("more keys than are named ring for any key", "[etcd][watch]") {
  etcd_process etcd;
  auto c = client_of({etcd.endpoint()});
  ring_log log;
  auto watch = watch_of(*c, log, {.prefix = "/w/", .keys_named_max = 2});
  REQUIRE(log.wait_for_any());
  const auto three = txn_now(
      *c, {.success = {put_request{"/w/1", ""}, put_request{"/w/2", ""}, put_request{"/w/3", ""}}});
  REQUIRE(three.what == txn_result::outcome::done);
  REQUIRE(log.wait_for("/w/2", three.header.revision));
  CHECK(log.rings().back().keys.empty());
}

TEST_CASE("a watch ends at once whatever it waits for", "[etcd][watch]") {
  fake_gateway silent{
      [](const fake_gateway::request&) -> fake_gateway::reaction { return {.stall = true}; }};
  auto c = client_of({silent.endpoint()});
  ring_log log;
  {
    auto watch = watch_of(*c, log);
    REQUIRE(silent.wait_for_requests(1));
  }
  CHECK(log.rings().empty());
  c.reset(); // the list is answered now, to nobody
}
