#include "cluster/links/checkpoint_fetch.hpp"

#include "cluster/links/checkpoint_server.hpp"
#include "tests/links/random_messages.hpp"
#include "tests/links/tcp_forwarder.hpp"
#include "tests/links/test_certificates.hpp"
#include "tests/storage/checkpoint_fixture.hpp"

#include <catch2/catch_test_macros.hpp>
#include <future>
#include <spdlog/spdlog.h>

using namespace warp;
using namespace warp::cluster::links;
using namespace warp::testing;

namespace {

const std::string source = "here/checkpoint";
const std::string target = "there/checkpoint";
constexpr shard_id shard{3}; // of the checkpoints that the fixture makes
const node_id sender{1};

struct stream_fixture {
  faulty_file_system theirs, ours;
  std::vector<saved_record> records;
  std::unique_ptr<checkpoint_server> server;

  explicit stream_fixture(std::optional<tls_files> tls = {}, int megabytes = 5) {
    spdlog::set_level(spdlog::level::off);
    REQUIRE(theirs.create_folder("here").ok());
    REQUIRE(ours.create_folder("there").ok());
    for (int i = 0; i < megabytes * 10; ++i)
      records.push_back(
          {"key" + std::to_string(i), std::string(100'000, static_cast<char>('a' + i % 26)), {}});
    write_checkpoint(theirs, source, records, true);
    auto started =
        checkpoint_server::start(test_identity(1), {"127.0.0.1", 0}, std::move(tls), theirs);
    REQUIRE(started.ok());
    server = std::move(*started);
  }

  [[nodiscard]] checkpoint_wish wish() const {
    checkpoint_wish w;
    w.self = test_identity(2);
    w.from = sender;
    w.address = {"127.0.0.1", server->port()};
    w.shard = shard;
    w.max_epoch = 5;
    w.path = target;
    return w;
  }
  void require_arrived() {
    CHECK(ours.memory().bytes(target) == theirs.memory().bytes(source));
    auto read = read_checkpoint(ours, target);
    REQUIRE(read.ok());
    CHECK(*read == records);
  }
};

} // namespace

TEST_CASE("a checkpoint arrives as it was offered, with its sender's epoch",
          "[links][checkpoint_stream]") {
  stream_fixture f;
  f.server->offer(node_id{2}, shard, 7, source);
  const auto got = fetch_checkpoint(f.wish(), f.ours);
  INFO(got.status().to_string());
  REQUIRE(got.ok());
  CHECK(got->max_epoch == 7);
  CHECK(got->offer.end == test_end());
  CHECK(got->connections == 1);
  CHECK(f.server->chunks_sent() == 5);
  f.require_arrived();
}

TEST_CASE("whoever wants a checkpoint waits until it is on offer", "[links][checkpoint_stream]") {
  stream_fixture f;
  std::atomic<int> asked{0};
  auto w = f.wish();
  w.wanted = [&] { return ++asked > 0; };
  auto got = std::async(std::launch::async, [&] { return fetch_checkpoint(w, f.ours); });
  while (asked < 3) std::this_thread::yield();
  f.server->offer(node_id{9}, shard, 7, source); // to another node: not to this one
  const int now = asked;
  while (asked < now + 2) std::this_thread::yield();
  f.server->offer(node_id{2}, shard, 7, source);
  REQUIRE(got.get().ok());
  f.require_arrived();
}

TEST_CASE("a checkpoint of a lower epoch is refused (R1)", "[links][checkpoint_stream]") {
  stream_fixture f;
  f.server->offer(node_id{2}, shard, 4, source);
  const auto got = fetch_checkpoint(f.wish(), f.ours);
  CHECK(got.code() == op_code::version_mismatch);
  CHECK(f.server->chunks_sent() == 0);
  f.server->offer(node_id{2}, shard, 5, source); // the same is enough
  CHECK(fetch_checkpoint(f.wish(), f.ours).ok());
}

TEST_CASE("a broken connection is taken up where it was", "[links][checkpoint_stream]") {
  stream_fixture f{{}, 12};
  f.server->offer(node_id{2}, shard, 7, source);
  tcp_forwarder wire{f.server->port()};
  auto w = f.wish();
  w.address.port = wire.port();
  int chunks = 0;
  w.wanted = [&] { // asked before each chunk
    if (++chunks == 6) wire.set(tcp_forwarder::wire::cut);
    if (chunks == 12) wire.set(tcp_forwarder::wire::whole);
    return true;
  };
  const auto got = fetch_checkpoint(w, f.ours);
  INFO(got.status().to_string());
  REQUIRE(got.ok());
  CHECK(got->connections >= 2);
  CHECK(f.server->chunks_sent() < 20); // and not all twelve twice
  f.require_arrived();
}

TEST_CASE("a transfer that was given up goes on later behind what is there",
          "[links][checkpoint_stream]") {
  stream_fixture f{{}, 12};
  f.server->offer(node_id{2}, shard, 7, source);
  auto w = f.wish();
  int chunks = 0;
  w.wanted = [&] { return ++chunks < 8; };
  CHECK(fetch_checkpoint(w, f.ours).code() == op_code::shutting_down);
  const auto before = f.server->chunks_sent();
  CHECK(before >= 5);
  w.wanted = {};
  REQUIRE(fetch_checkpoint(w, f.ours).ok());
  CHECK(f.server->chunks_sent() < 12 + before);
  f.require_arrived();
}

TEST_CASE("a newer checkpoint that is on offer meanwhile is begun anew",
          "[links][checkpoint_stream]") {
  stream_fixture f{{}, 8};
  f.server->offer(node_id{2}, shard, 7, source);
  auto w = f.wish();
  int chunks = 0;
  w.wanted = [&] { return ++chunks < 6; };
  CHECK(fetch_checkpoint(w, f.ours).code() == op_code::shutting_down);
  f.records.pop_back();
  write_checkpoint(f.theirs, "here/newer", f.records, true);
  f.server->offer(node_id{2}, shard, 8, "here/newer");
  w.wanted = {};
  const auto got = fetch_checkpoint(w, f.ours);
  INFO(got.status().to_string());
  REQUIRE(got.ok());
  CHECK(got->max_epoch == 8);
  auto read = read_checkpoint(f.ours, target);
  REQUIRE(read.ok());
  CHECK(*read == f.records);
}

TEST_CASE("who is not of the cluster, or not who was meant, gets no checkpoint",
          "[links][checkpoint_stream]") {
  stream_fixture f;
  f.server->offer(node_id{2}, shard, 7, source);
  auto w = f.wish();
  w.self.cluster = cluster_id{0xBAD};
  CHECK(fetch_checkpoint(w, f.ours).code() == op_code::unauthorized);
  w = f.wish();
  w.self.format = 9;
  CHECK(fetch_checkpoint(w, f.ours).code() == op_code::not_supported);
  w = f.wish();
  w.from = node_id{4};
  CHECK(fetch_checkpoint(w, f.ours).code() == op_code::invalid_argument);
  CHECK(f.server->chunks_sent() == 0);
}

TEST_CASE("patience ends, and the last failure is told", "[links][checkpoint_stream]") {
  stream_fixture f;
  auto w = f.wish();
  w.patience = std::chrono::milliseconds{50};
  const auto got = fetch_checkpoint(w, f.ours);
  CHECK(got.code() == op_code::timed_out);
  CHECK(got.status().message().find("no checkpoint of shard 3 for node 2") != std::string::npos);
}

TEST_CASE("garbage at the bulk port ends its connection alone", "[links][checkpoint_stream]") {
  stream_fixture f;
  f.server->offer(node_id{2}, shard, 7, source);
  for (const auto& text :
       {std::string(1'000, '\xff'), std::string{"GET / HTTP/1.1\r\n\r\n"}, std::string(7, '\0')}) {
    const auto socket = loopback_socket::connected(f.server->port());
    REQUIRE(socket);
    static_cast<void>(::send(socket.fd(), text.data(), text.size(), MSG_NOSIGNAL));
  }
  REQUIRE(fetch_checkpoint(f.wish(), f.ours).ok());
}

TEST_CASE("checkpoints travel by TLS, and not to somebody with another authority",
          "[links][checkpoint_stream][tls]") {
  test_certificates make;
  stream_fixture f{make.make("a", "one")};
  f.server->offer(node_id{2}, shard, 7, source);
  auto w = f.wish();
  w.patience = std::chrono::milliseconds{50};
  CHECK(fetch_checkpoint(w, f.ours).code() == op_code::timed_out); // no TLS at all
  w.tls = make.make("c", "two");
  CHECK(fetch_checkpoint(w, f.ours).code() == op_code::timed_out);
  CHECK(f.server->chunks_sent() == 0);
  w.tls = make.make("b", "one");
  const auto got = fetch_checkpoint(w, f.ours);
  INFO(got.status().to_string());
  REQUIRE(got.ok());
  f.require_arrived();
}
