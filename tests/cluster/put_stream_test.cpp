#include "cluster/put_stream.hpp"

#include "tests/cluster/rpc_fixture.hpp"

#include <algorithm>
#include <catch2/generators/catch_generators.hpp>
#include <map>
#include <random>
#include <thread>

namespace warp::cluster {
namespace {

using namespace std::chrono_literals;

std::unique_ptr<put_stream> open_stream(client& c, put_stream_options options = {}) {
  auto s = c.stream_puts(options);
  INFO(s.status().to_string());
  REQUIRE(s.ok());
  return std::move(*s);
}

/// Another server on the port of the one before, over the same engine. Called beside assertions, so
/// it has none of its own.
bool restart(rpc_fixture& f) {
  const auto at = "127.0.0.1:" + std::to_string(f.server->port());
  f.server->stop();
  auto next = rpc_server::start({.listen = at}, *f.engine, &f.admin);
  if (next.ok()) f.server = std::move(*next);
  return next.ok();
}

TEST_CASE("a stream of puts is stored in order and on disk when it is flushed",
          "[cluster][put_stream]") {
  const bool on_disk = GENERATE(false, true);
  rpc_fixture f{on_disk};
  const auto c = f.connect();
  auto stream = open_stream(*c);
  CHECK(stream->flush().ok()); // nothing to do
  for (int round = 1; round <= 2; ++round) {
    for (int i = 0; i < 20'000; ++i)
      REQUIRE(stream->put("k" + std::to_string(i % 300), std::to_string(i)).ok());
    REQUIRE(stream->flush().ok());
    CHECK(stream->count().stored == 20'000u * static_cast<unsigned>(round));
    CHECK(stream->count().failed == 0);
    for (int i = 0; i < 300; ++i)
      CHECK(f.engine.get("k" + std::to_string(i)) ==
            std::to_string(19'800 + i - (i >= 200 ? 300 : 0)));
    if (on_disk)
      for (std::uint32_t s = 0; s < 4; ++s) {
        const auto stats = f.engine->stats(shard_id{s});
        CHECK(stats.durable_lsn == stats.last_lsn);
      }
  }
}

TEST_CASE("a stream of puts outlives its connections and servers", "[cluster][put_stream]") {
  const auto seed = std::random_device{}();
  CAPTURE(seed);
  std::mt19937_64 random{seed};
  rpc_fixture f{true};
  const auto c = f.connect();
  auto stream = open_stream(*c, {.window_bytes = 256 * 1024, .confirm_bytes = 64 * 1024});
  std::map<std::string, std::string> model;
  std::atomic<bool> over{false};
  std::atomic<int> restarts{0}, failed{0};
  std::jthread breaker{[&] {
    for (std::uint64_t seen = 0; !over; ++restarts) {
      if (!restart(f)) ++failed;
      // The next one comes in the middle of what follows.
      while (!over && stream->count().stored == seen) std::this_thread::yield();
      seen = stream->count().stored;
    }
  }};
  std::uint64_t taken = 0;
  for (int i = 0; i < 30'000 || restarts < 5; ++i, ++taken) {
    const auto key = "k" + std::to_string(random() % 2'000);
    const auto value = std::to_string(i) + std::string(random() % 100, 'v');
    REQUIRE(stream->put(key, value).ok());
    model[key] = value;
  }
  over = true;
  const auto flushed = stream->flush();
  INFO(flushed.to_string());
  REQUIRE(flushed.ok());
  CHECK(stream->count().stored == taken);
  CHECK(stream->count().failed == 0);
  breaker.join();
  CHECK(failed == 0);
  const auto all = f.engine.everything();
  CHECK(std::map<std::string, std::string>(all.begin(), all.end()) == model);
}

TEST_CASE("records of a stream that fail are counted and the first ones are named",
          "[cluster][put_stream]") {
  rpc_fixture f{true};
  const auto c = f.connect();
  auto stream = open_stream(*c, {.level = durability::replicated}); // one node has no replicas
  for (int i = 0; i < 100; ++i) REQUIRE(stream->put("k" + std::to_string(i), "v").ok());
  CHECK(stream->flush().ok());
  CHECK(stream->count().stored == 0);
  CHECK(stream->count().failed == 100);
  const auto failures = stream->take_failures();
  REQUIRE(failures.size() == 64);
  for (std::size_t i = 0; i < failures.size(); ++i) {
    CHECK(failures[i].index == i);
    CHECK(failures[i].key == "k" + std::to_string(i));
    CHECK(failures[i].status == op_code::no_replicas);
  }
  CHECK(stream->take_failures().empty());
}

TEST_CASE("a record that can never be stored is not taken and the stream goes on",
          "[cluster][put_stream]") {
  rpc_fixture f{false};
  const auto c = f.connect();
  auto stream = open_stream(*c);
  CHECK(stream->put("a", "1").ok());
  CHECK(stream->put("", "x").code() == op_code::invalid_argument);
  CHECK(stream->put(std::string(key_size_max + 1, 'k'), "x").code() == op_code::invalid_argument);
  CHECK(stream->put("b", std::string((4u << 20) + 1, 'v')).code() == op_code::invalid_argument);
  CHECK(stream->put("c", "x", 1, 1s).code() == op_code::invalid_argument);
  CHECK(stream->put("d", std::string(4u << 20, 'v')).ok());
  CHECK(stream->put("e", "x", 0, 1h).ok());
  CHECK(stream->put("f", "x", 4'000'000'000'000).ok());
  CHECK(stream->flush().ok());
  CHECK(stream->count().stored == 4);
  CHECK(f.engine.get("d").size() == 4u << 20);
  CHECK(c->exists("e").expires_at_ms != 0);
  CHECK(c->exists("f").expires_at_ms == 4'000'000'000'000);
}

TEST_CASE("a stream whose server is gone ends at its deadline and says so",
          "[cluster][put_stream]") {
  rpc_fixture f{false};
  auto options = f.options();
  options.deadline = 300ms;
  const auto c = f.connect(options);
  auto stream = open_stream(*c, {.window_bytes = 100'000});
  REQUIRE(stream->put("a", "1").ok());
  REQUIRE(stream->flush().ok());
  f.server->stop();
  op_status status;
  for (int i = 0; i < 100'000 && status.ok(); ++i) // more than the window takes
    status = stream->put("k" + std::to_string(i), "value");
  CHECK_FALSE(status.ok());
  CHECK_FALSE(status.message().empty());
  CHECK(stream->flush() == status.code());
  CHECK(stream->status() == status.code());
  CHECK(stream->count().stored == 1);
}

TEST_CASE("an idle stream is never late", "[cluster][put_stream]") {
  rpc_fixture f{false};
  auto options = f.options();
  options.deadline = 50ms;
  const auto c = f.connect(options);
  auto stream = open_stream(*c);
  REQUIRE(stream->put("a", "1").ok());
  REQUIRE(stream->flush().ok());
  // Calls that time out are the clock here: longer than the stream's own patience.
  f.server->stop();
  for (int i = 0; i < 3; ++i) CHECK_FALSE(c->get("a").ok());
  CHECK(stream->status().ok());
}

TEST_CASE("streams and their client may go without a flush", "[cluster][put_stream]") {
  rpc_fixture f{false};
  for (const bool gone : {false, true}) {
    auto c = f.connect();
    auto stream = open_stream(*c), other = open_stream(*c);
    for (int i = 0; i < 5'000; ++i) REQUIRE(stream->put("k" + std::to_string(i), "value").ok());
    if (gone) f.server->stop();
    stream.reset();
    other.reset();
    c.reset();
  }
}

TEST_CASE("several streams of one client do not hold each other back", "[cluster][put_stream]") {
  rpc_fixture f{true};
  const auto c = f.connect();
  std::vector<std::jthread> writers;
  std::atomic<int> failed{0};
  for (int t = 0; t < 3; ++t)
    writers.emplace_back([&, t] {
      auto stream = c->stream_puts();
      for (int i = 0; i < 5'000; ++i)
        if (!(*stream)->put(std::to_string(t) + ":" + std::to_string(i), "value").ok()) ++failed;
      if (!(*stream)->flush().ok() || (*stream)->count().stored != 5'000) ++failed;
    });
  writers.clear();
  CHECK(failed == 0);
  CHECK(f.engine.everything().size() == 15'000);
}

} // namespace
} // namespace warp::cluster
