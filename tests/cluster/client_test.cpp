#include "cluster/client.hpp"

#include "tests/cluster/fake_server.hpp"

#include <algorithm>
#include <atomic>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <future>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace warp::cluster {
namespace {

using fate = fake_server::fate;
using namespace std::chrono_literals;

client_options options_for(const fake_server& server) {
  client_options options;
  options.addresses = {server.address()};
  options.retry_min = 1ms;
  options.retry_max = 4ms;
  return options;
}

std::unique_ptr<client> connected(client_options options) {
  auto c = client::connect(std::move(options));
  REQUIRE(c.ok());
  return std::move(*c);
}

TEST_CASE("connecting to nobody fails with the reason", "[cluster][client]") {
  client_options options;
  {
    const fake_server gone;
    options.addresses = {gone.address()};
  }
  options.connect_deadline = 0ms;
  const auto c = client::connect(options);
  CHECK(c.code() == op_code::unavailable);
  CHECK(c.status().message().find(options.addresses[0]) != std::string::npos);
  CHECK(c.status().message().find("refused") != std::string::npos);
}

TEST_CASE("a refused login is no matter of patience", "[cluster][client]") {
  fake_server server;
  server.login_status({op_code::unauthorized, "who are you"});
  const auto c = client::connect(options_for(server));
  CHECK(c.code() == op_code::unauthorized);
  CHECK(c.status().message().find("who are you") != std::string::npos);
}

TEST_CASE("options that make no sense are refused", "[cluster][client]") {
  client_options options;
  SECTION("no address") {
    options.addresses = {};
  }
  SECTION("an empty address") {
    options.addresses = {""};
  }
  SECTION("no connection") {
    options.connections = 0;
  }
  CHECK(client::connect(options).code() == op_code::invalid_argument);
}

TEST_CASE("the next address is tried when one does not answer", "[cluster][client]") {
  fake_server server;
  auto options = options_for(server);
  {
    const fake_server gone;
    options.addresses.insert(options.addresses.begin(), gone.address());
  }
  auto c = connected(options);
  CHECK(c->put("key", "value").ok());
}

TEST_CASE("an operation is answered", "[cluster][client]") {
  fake_server server;
  auto c = connected(options_for(server));
  CHECK(c->get("key").code() == op_code::not_found);
  CHECK(c->put("key", "value").ok());
  CHECK(c->get("key").value == "value");
  CHECK(c->increment("n", 5).number == 5);
  CHECK(c->erase("key").ok());
  CHECK(c->get("key").code() == op_code::not_found);
  CHECK(c->ping().ok());
}

TEST_CASE("a write whose answer was lost is done once", "[cluster][client]") {
  fake_server server;
  auto c = connected(options_for(server));
  server.script({fate::drop_done, fate::drop_done, fate::answer});
  CHECK(c->increment("n").number == 1);
  CHECK(server.writes_done() == 1);
  const auto calls = server.calls();
  REQUIRE(calls.size() == 3);
  for (auto& call : calls) {
    CHECK(call.request.client == c->client_id());
    CHECK(call.numbers == calls[0].numbers);
  }
  CHECK(c->count().reconnects == 2);
}

TEST_CASE("a write that never arrived is sent again", "[cluster][client]") {
  fake_server server;
  auto c = connected(options_for(server));
  server.script({fate::drop_undone, fate::answer});
  CHECK(c->put("key", "value").ok());
  CHECK(server.writes_done() == 1);
}

TEST_CASE("what a retry can cure is retried with the same number", "[cluster][client]") {
  fake_server server;
  const auto f = GENERATE(fate::refuse, fate::refuse_call);
  server.refusal = GENERATE(op_code::overloaded, op_code::unavailable, op_code::shutting_down);
  auto c = connected(options_for(server));
  server.script({f, f, fate::answer});
  CHECK(c->put("key", "value").ok());
  const auto calls = server.calls();
  REQUIRE(calls.size() == 3);
  CHECK(calls[0].numbers == calls[2].numbers);
  CHECK(c->count().retries == 2);
}

TEST_CASE("what a retry cannot cure is not retried", "[cluster][client]") {
  fake_server server;
  const auto f = GENERATE(fate::refuse, fate::refuse_call);
  server.refusal = GENERATE(op_code::invalid_argument, op_code::no_space, op_code::outcome_unknown);
  auto c = connected(options_for(server));
  server.script({f});
  CHECK(c->put("key", "value").code() == server.refusal);
  CHECK(server.calls().size() == 1);
}

TEST_CASE("after the deadline a write that was sent is unknown, a read timed out",
          "[cluster][client]") {
  fake_server server;
  auto options = options_for(server);
  options.deadline = 50ms;
  auto c = connected(options);
  server.always(fate::never_answer);
  CHECK(c->put("key", "value").code() == op_code::outcome_unknown);
  CHECK(c->get("key").code() == op_code::timed_out);
  CHECK(server.calls()[0].deadline_ms <= 50);
}

TEST_CASE("after the deadline a refusal is the answer: nothing was done", "[cluster][client]") {
  fake_server server;
  auto options = options_for(server);
  options.deadline = 50ms;
  options.retry_min = options.retry_max = 1s; // the deadline meets a pause
  auto c = connected(options);
  server.always(fate::refuse);
  CHECK(c->put("key", "value").code() == op_code::overloaded);
}

TEST_CASE("a refusal does not outweigh an answer that was lost", "[cluster][client]") {
  fake_server server;
  auto options = options_for(server);
  options.deadline = 50ms;
  auto c = connected(options);
  server.script({fate::drop_done});
  server.always(fate::refuse);
  CHECK(c->put("key", "value").code() == op_code::outcome_unknown);
}

TEST_CASE("a call to a server that is gone ends at its deadline, unsent", "[cluster][client]") {
  fake_server server;
  auto options = options_for(server);
  options.deadline = 50ms;
  auto c = connected(options);
  server.stop();
  auto reply = c->put("key", "value");
  // The first write may have left before the loss was noticed; the next one has no connection to
  // leave by.
  while (reply.code() == op_code::outcome_unknown) reply = c->put("key", "value");
  CHECK(reply.code() == op_code::timed_out);
  CHECK(reply.status.message().find(server.address()) != std::string::npos);
}

TEST_CASE("a client finds its server again", "[cluster][client]") {
  fake_server server;
  auto c = connected(options_for(server));
  CHECK(c->put("key", "value").ok());
  server.stop();
  auto later = std::async(std::launch::async, [&] { return c->get("key"); });
  server.start_again();
  CHECK(later.get().value == "value");
}

TEST_CASE("an exception of the server is an answer, not a retry", "[cluster][client]") {
  fake_server server;
  auto c = connected(options_for(server));
  server.script({fate::fail, fate::fail});
  CHECK(c->get("key").code() == op_code::io_error);
  CHECK(c->put("key", "value").code() == op_code::outcome_unknown);
  CHECK(server.calls().size() == 2);
}

TEST_CASE("a call that the server does not know is not supported", "[cluster][client]") {
  fake_server server;
  auto c = connected(options_for(server));
  CHECK(c->info().code() == op_code::not_supported);
  CHECK(c->admin().tree().code() == op_code::not_supported);
}

TEST_CASE("an answer of the wrong length is damage", "[cluster][client]") {
  fake_server server;
  auto c = connected(options_for(server));
  server.script({fate::answer_too_little});
  client_batch batch;
  batch.get("a");
  batch.get("b");
  for (auto& reply : c->execute(batch)) CHECK(reply.code() == op_code::corruption);
}

TEST_CASE("numbers go up, and the oldest one without an answer is told", "[cluster][client]") {
  fake_server server;
  auto c = connected(options_for(server));
  for (int i = 0; i < 5; ++i) CHECK(c->put("key", "value").ok());
  client_batch batch;
  batch.get("a");
  batch.put("a", "1");
  batch.get("a");
  batch.put("b", "1");
  (void)c->execute(batch);
  const auto calls = server.calls();
  std::set<std::uint64_t> numbers;
  std::uint64_t last = 0;
  for (std::size_t i = 0; i < 5; ++i) {
    REQUIRE(calls[i].numbers.size() == 1);
    CHECK(calls[i].numbers[0] > last);
    last = calls[i].numbers[0];
    CHECK(calls[i].request.oldest_unanswered == last);
  }
  CHECK(calls[5].numbers[1] > last);
  CHECK(calls[5].numbers[3] > calls[5].numbers[1]);
  CHECK(calls[5].request.oldest_unanswered > last);
  CHECK(calls[5].request.oldest_unanswered <= calls[5].numbers[1]);
}

TEST_CASE("calls of many threads travel together and come back to their callers",
          "[cluster][client]") {
  fake_server server;
  auto options = options_for(server);
  options.connections = 2;
  auto c = connected(options);
  constexpr int threads = 8, rounds = 100;
  std::atomic<int> wrong{0};
  {
    std::vector<std::jthread> callers;
    for (int t = 0; t < threads; ++t)
      callers.emplace_back([&, t] {
        for (int i = 0; i < rounds; ++i) {
          const auto key = std::to_string(t) + ":" + std::to_string(i);
          if (!c->put(key, key).ok() || c->get(key).value != key) ++wrong;
        }
      });
  }
  CHECK(wrong == 0);
  CHECK(server.writes_done() == threads * rounds);
  CHECK(c->count().operations == 2 * threads * rounds);
  CHECK(c->count().messages <= c->count().operations);
}

TEST_CASE("under a server that drops at random, every write is done once", "[cluster][client]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937 random{seed};
  fake_server server;
  auto c = connected(options_for(server));
  std::vector<fate> fates;
  for (int i = 0; i < 300; ++i) {
    constexpr fate choice[] = {fate::answer, fate::answer, fate::drop_done, fate::drop_undone,
                               fate::refuse};
    fates.push_back(choice[random() % 5]);
  }
  server.script(fates);
  constexpr int threads = 4, rounds = 50;
  std::atomic<int> failed{0};
  {
    std::vector<std::jthread> callers;
    for (int t = 0; t < threads; ++t)
      callers.emplace_back([&] {
        for (int i = 0; i < rounds; ++i)
          if (!c->increment("n").ok()) ++failed;
      });
  }
  CHECK(failed == 0);
  CHECK(c->get("n").value == std::to_string(threads * rounds));
}

TEST_CASE("many batches are in flight without a thread each", "[cluster][client]") {
  fake_server server;
  auto options = options_for(server);
  options.queued_bytes_max = 20'000; // blocks now and then
  auto c = connected(options);
  std::vector<std::future<std::vector<client_reply>>> answers;
  for (int b = 0; b < 50; ++b) {
    client_batch batch;
    for (int i = 0; i < 20; ++i) batch.put(std::to_string(b) + ":" + std::to_string(i), "value");
    answers.push_back(c->execute_async(std::move(batch)));
  }
  for (auto& a : answers)
    for (auto& reply : a.get()) CHECK(reply.ok());
  CHECK(server.content().size() == 1'000);
}

TEST_CASE("a callback may send the next batch", "[cluster][client]") {
  fake_server server;
  auto options = options_for(server);
  options.queued_bytes_max = 1;
  auto c = connected(options);
  std::promise<void> over;
  int left = 100; // touched by the client's thread only
  std::function<void(std::vector<client_reply>)> next = [&](const std::vector<client_reply>&) {
    if (--left == 0) return over.set_value();
    client_batch batch;
    batch.increment("n");
    c->execute_async(std::move(batch), next);
  };
  client_batch batch;
  batch.increment("n");
  c->execute_async(std::move(batch), next);
  over.get_future().wait();
  CHECK(server.content()["n"] == "100");
}

TEST_CASE("closing a client answers what is open", "[cluster][client]") {
  fake_server server;
  auto c = connected(options_for(server));
  server.always(fate::never_answer);
  client_batch write, read;
  write.put("key", "value");
  read.get("key");
  auto written = c->execute_async(std::move(write));
  auto asked = c->execute_async(std::move(read));
  while (server.calls().empty()) std::this_thread::yield();
  c.reset();
  CHECK(written.get()[0].code() == op_code::outcome_unknown);
  CHECK(asked.get()[0].code() == op_code::unavailable);
}

TEST_CASE("a long batch travels in several messages, in order", "[cluster][client]") {
  fake_server server;
  auto options = options_for(server);
  options.connections = 3;
  auto c = connected(options);
  client_batch batch;
  for (int i = 0; i < 30'000; ++i) batch.increment("n");
  const auto replies = c->execute(batch);
  REQUIRE(replies.size() == 30'000);
  bool in_order = true;
  for (int i = 0; i < 30'000; ++i)
    in_order = in_order && replies[static_cast<std::size_t>(i)].number == i + 1;
  CHECK(in_order);
  CHECK(c->count().messages >= 4);
}

TEST_CASE("a value above the server's limit is refused on the spot, its neighbours are not",
          "[cluster][client]") {
  fake_server server; // 100,000 bytes
  auto c = connected(options_for(server));
  client_batch batch;
  batch.put("a", "value");
  batch.put("b", std::string(100'001, 'x'));
  batch.put("c", "value");
  const auto replies = c->execute(batch);
  CHECK(replies[0].ok());
  CHECK(replies[1].code() == op_code::invalid_argument);
  CHECK(replies[2].ok());
  CHECK(server.content().size() == 2);
}

TEST_CASE("an empty batch needs no server", "[cluster][client]") {
  fake_server server;
  auto c = connected(options_for(server));
  CHECK(c->execute({}).empty());
  CHECK(c->execute_atomic({}).status.ok());
  CHECK(c->execute_async({}).get().empty());
  CHECK(c->multi_get({}).empty());
  CHECK(c->multi_put({}).empty());
  CHECK(server.calls().empty());
}

} // namespace
} // namespace warp::cluster
