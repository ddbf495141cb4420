#include "cluster/etcd/lease_keeper.hpp"

#include "cluster/etcd/blocking_calls.hpp"
#include "tests/etcd/fake_gateway.hpp"
#include "tests/support/etcd_process.hpp"

#include <algorithm>
#include <catch2/catch_test_macros.hpp>
#include <condition_variable>
#include <mutex>

using namespace warp;
using namespace warp::cluster::etcd;
using namespace std::chrono_literals;
using warp::testing::etcd_process;
using warp::testing::fake_gateway;
using warp::testing::header_json;
using warp::testing::http_answer;
using event = lease_news::event;

namespace {

std::unique_ptr<client> client_of(std::string endpoint) {
  client_options options;
  options.connection.endpoints = {std::move(endpoint)};
  options.connection.backoff_max = 50ms;
  options.connection.connect_timeout = options.attempt_timeout = options.request_timeout = 600s;
  auto made = client::create(std::move(options));
  if (!made) throw std::runtime_error(made.status().to_string());
  return std::move(*made);
}

class news_log {
public:
  lease_keeper::listener listener() {
    return [this](const lease_news& news) {
      {
        std::lock_guard lock{mutex_};
        news_.push_back(news);
      }
      changed_.notify_all();
    };
  }
  /// The n-th of these (from 1).
  lease_news wait_for(event what, int count = 1) {
    std::unique_lock lock{mutex_};
    const auto matches = [&](const lease_news& news) { return news.what == what; };
    if (!changed_.wait_for(lock, 5min,
                           [&] { return std::ranges::count_if(news_, matches) >= count; }))
      throw std::runtime_error("no news of the lease");
    auto at = news_.begin();
    for (;; ++at)
      if (matches(*at) && --count == 0) return *at;
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<lease_news> news_;
};

std::unique_ptr<lease_keeper> keep(client& via, lease_options options, news_log& log) {
  auto made = lease_keeper::create(via, options, log.listener());
  if (!made) throw std::runtime_error(made.status().to_string());
  return std::move(*made);
}

std::string lease_json(int id, int ttl) {
  return "{" + header_json() + R"(,"ID":")" + std::to_string(id) + R"(","TTL":")" +
         std::to_string(ttl) + "\"}";
}

} // namespace

TEST_CASE("a lease is taken, kept, taken anew when it was revoked, and given back",
          "[etcd][lease]") {
  etcd_process etcd;
  auto c = client_of(etcd.endpoint());
  news_log log;
  lease_news second;
  // How long etcd says that it lives; 0: it does not, -1: no answer.
  const auto life_of = [&](lease_id_t lease) {
    const auto answer = keep_alive_now(*c, {lease});
    return answer ? answer->ttl_s : -1;
  };
  {
    auto keeper = keep(*c, {.ttl = 3'600s, .keepalive = 20ms, .retry = 20ms}, log);
    const auto first = log.wait_for(event::granted);
    CHECK(first.lease != 0);
    CHECK(keeper->lease() == first.lease);
    REQUIRE(put_now(*c, {"/n", "v", first.lease}).ok());
    REQUIRE(revoke_now(*c, {first.lease}).ok());
    CHECK(log.wait_for(event::lost).lease == first.lease);
    second = log.wait_for(event::granted, 2);
    CHECK(second.lease != first.lease);
    REQUIRE(put_now(*c, {"/n", "v", second.lease}).ok());
    // etcd dies and comes back: the lease is still there, as etcd counts its life anew.
    etcd.kill();
    etcd.start();
    CHECK(life_of(second.lease) == 3'600);
    CHECK(keeper->lease() == second.lease);
  }
  const auto bound = range_now(*c, {.keys = {"/n"}});
  REQUIRE(bound.ok());
  CHECK(bound->keys.empty());
  CHECK(life_of(second.lease) == 0);
}

TEST_CASE("a lease that nobody confirms for its life is doubtful, until somebody does",
          "[etcd][lease]") {
  std::atomic<bool> away{false};
  fake_gateway gateway{[&](const fake_gateway::request& r) -> fake_gateway::reaction {
    if (r.path == "/v3/lease/grant") return {.bytes = http_answer(lease_json(77, 1))};
    if (r.path == "/v3/lease/revoke") return {.bytes = http_answer("{" + header_json() + "}")};
    if (away) return {.forget = true};
    return {.bytes = http_answer("{\"result\":" + lease_json(77, 1) + "}")};
  }};
  client_options options;
  options.connection.endpoints = {gateway.endpoint()};
  options.connection.backoff_max = 50ms;
  options.attempt_timeout = options.request_timeout = 200ms;
  auto c = client::create(options);
  REQUIRE(c.ok());
  news_log log;
  auto keeper = keep(**c, {.ttl = 1s, .keepalive = 20ms, .retry = 20ms}, log);
  CHECK(log.wait_for(event::granted).lease == 77);
  away = true;
  CHECK(log.wait_for(event::doubtful).lease == 77);
  away = false;
  CHECK(log.wait_for(event::kept).lease == 77);
  keeper.reset();
  CHECK(gateway.requests().back().path == "/v3/lease/revoke");
}

TEST_CASE("a keeper without an etcd keeps trying, and ends at once", "[etcd][lease]") {
  fake_gateway silent{
      [](const fake_gateway::request&) -> fake_gateway::reaction { return {.stall = true}; }};
  auto c = client_of(silent.endpoint());
  news_log log;
  auto keeper = keep(*c, {}, log);
  REQUIRE(silent.wait_for_requests(1));
  CHECK(keeper->lease() == 0);
  keeper.reset();
  CHECK(lease_keeper::create(*c, {.ttl = 1s, .keepalive = 1s}, log.listener()).code() ==
        op_code::invalid_argument);
}
