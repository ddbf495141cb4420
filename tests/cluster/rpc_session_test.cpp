// The interface as any Cap'n Proto client sees it: the stock RPC implementation, no client of ours.
#include "cluster/rpc_session.hpp"

#include "tests/cluster/rpc_fixture.hpp"

#include <capnp/ez-rpc.h>
#include <capnp/rpc-twoparty.h>
#include <catch2/generators/catch_generators.hpp>
#include <string>

namespace warp::cluster {
namespace {

struct stock_client {
  explicit stock_client(const rpc_fixture& f)
      : rpc("127.0.0.1", f.server->port()), wait(rpc.getWaitScope()),
        session(rpc.getMain<wire::Warp>().loginRequest().send().getSession()) {}

  reply_view put(std::string_view key, std::string_view value, request_id id = {}) {
    auto request = session.putRequest();
    request.setKey(as_data(key));
    request.setValue(as_data(value));
    if (id) write_call({id, {}}, request.initCall());
    return read_reply(request.send().wait(wait).getReply());
  }
  std::string get(std::string_view key) {
    auto request = session.getRequest();
    request.setKey(as_data(key));
    const auto answer = request.send().wait(wait);
    const auto reply = read_reply(answer.getReply());
    return reply.code == op_code::ok ? std::string{reply.value}
                                     : std::string{to_string(reply.code)};
  }

  capnp::EzRpcClient rpc;
  kj::WaitScope& wait;
  wire::Session::Client session;
};

TEST_CASE("a stock client works, its calls pipelined behind the login", "[cluster][rpc][session]") {
  rpc_fixture f{GENERATE(false, true)};
  stock_client c{f};
  CHECK(c.put("key", "value").code == op_code::ok);
  CHECK(c.get("key") == "value");
  CHECK(c.get("none") == "not_found");

  const auto exists = [&] {
    auto request = c.session.existsRequest();
    request.setKey(as_data("key"));
    return read_reply(request.send().wait(c.wait).getReply());
  };
  CHECK(exists().version != 0);

  auto increment = c.session.incrementRequest();
  increment.setKey(as_data("n"));
  CHECK(increment.send().wait(c.wait).getReply().getNumber() == 1); // delta's default

  auto expire = c.session.expireRequest();
  expire.setKey(as_data("key"));
  expire.initWrite().setTimeToLiveMs(3'600'000);
  CHECK(expire.send().wait(c.wait).getReply().getCode() == wire::Code::OK);
  CHECK(exists().expires_at_ms != 0);

  const auto erase = [&](wire::Condition condition, lsn_t version) {
    auto request = c.session.eraseRequest();
    request.setKey(as_data("key"));
    auto write = request.initWrite();
    write.setCondition(condition);
    write.setExpectedVersion(version);
    return request.send().wait(c.wait).getReply().getCode();
  };
  CHECK(erase(wire::Condition::IF_VERSION, 1'234'567) == wire::Code::VERSION_MISMATCH);
  CHECK(erase(wire::Condition::ALWAYS, 0) == wire::Code::OK);
  CHECK(c.get("key") == "not_found");

  auto ping = c.session.pingRequest();
  ping.setPayload(as_data("echo"));
  CHECK(as_view(ping.send().wait(c.wait).getPayload()) == "echo");
}

TEST_CASE("a single write at level sync waits for the disk", "[cluster][rpc][session]") {
  rpc_fixture f{true};
  stock_client c{f};
  auto put = c.session.putRequest();
  put.setKey(as_data("key"));
  put.setValue(as_data("value"));
  put.setDurability(wire::Durability::SYNC);
  const auto reply = read_reply(put.send().wait(c.wait).getReply());
  REQUIRE(reply.code == op_code::ok);
  CHECK(f.engine->durable(reply.shard, reply.version) == storage::durable_state::durable);
}

TEST_CASE("a write with the same request id has one effect", "[cluster][rpc][session]") {
  rpc_fixture f{true};
  stock_client c{f};
  const auto increment = [&](std::uint64_t number) {
    auto request = c.session.incrementRequest();
    request.setKey(as_data("n"));
    request.setDelta(10);
    write_call({{77, number, 5}, {}}, request.initCall());
    return request.send().wait(c.wait).getReply().getNumber();
  };
  CHECK(increment(5) == 10);
  CHECK(increment(5) == 10);
  CHECK(c.get("n") == "10");

  // In a batch the numbers count up and skip.
  auto batch = c.session.executeRequest();
  auto list = batch.initOperations(2);
  for (auto op : list) {
    op.setKind(wire::Kind::INCREMENT);
    op.setKey(as_data("n"));
  }
  list[1].setRequestSkip(3);                      // number 5 + 1 + 3
  write_call({{77, 5, 5}, {}}, batch.initCall()); // number 5 again: done before
  auto replies = batch.send().wait(c.wait);
  CHECK(replies.getReplies()[0].getNumber() == 10);
  CHECK(replies.getReplies()[1].getNumber() == 11);
  CHECK(increment(9) == 11);
}

TEST_CASE("operations of a later version are refused one by one", "[cluster][rpc][session]") {
  rpc_fixture f{false};
  stock_client c{f};
  auto batch = c.session.executeRequest();
  auto list = batch.initOperations(600); // more than one chunk
  for (unsigned i = 0; i < 600; ++i) {
    list[i].setKey(as_data("key" + std::to_string(i)));
    list[i].setKind(i % 7 == 3 ? static_cast<wire::Kind>(99) : wire::Kind::PUT);
  }
  const auto answer = batch.send().wait(c.wait);
  const auto replies = answer.getReplies();
  REQUIRE(replies.size() == 600);
  for (unsigned i = 0; i < 600; ++i) {
    const auto reply = read_reply(replies[i]);
    CHECK(reply.code == (i % 7 == 3 ? op_code::invalid_argument : op_code::ok));
    CHECK(reply.message.empty() == (i % 7 != 3));
  }

  auto atomic = c.session.executeAtomicRequest();
  auto ops = atomic.initOperations(2);
  ops[0].setKind(wire::Kind::PUT);
  ops[0].setKey(as_data("untouched"));
  const auto refused = atomic.send().wait(c.wait);
  CHECK(refused.getStatus().getCode() == wire::Code::INVALID_ARGUMENT);
  CHECK(c.get("untouched") == "not_found");

  auto get = c.session.getRequest();
  get.setKey(as_data("key"));
  get.setDurability(static_cast<wire::Durability>(17));
  CHECK(get.send().wait(c.wait).getReply().getCode() == wire::Code::INVALID_ARGUMENT);
}

TEST_CASE("too many operations are refused as a whole", "[cluster][rpc][session]") {
  rpc_fixture f{false};
  stock_client c{f};
  auto batch = c.session.executeRequest();
  batch.initOperations(static_cast<unsigned>(batch_operations_max + 1));
  const auto answer = batch.send().wait(c.wait);
  CHECK(answer.getStatus().getCode() == wire::Code::INVALID_ARGUMENT);
  CHECK_FALSE(answer.hasReplies());
}

TEST_CASE("the longest batch has an answer even if all of it fails", "[cluster][rpc][session]") {
  rpc_fixture f{false};
  stock_client c{f};
  auto batch = c.session.executeRequest();
  auto list = batch.initOperations(static_cast<unsigned>(batch_operations_max));
  for (auto op : list) op.setKind(wire::Kind::PUT); // without a key
  const auto answer = batch.send().wait(c.wait);
  const auto replies = answer.getReplies();
  REQUIRE(replies.size() == batch_operations_max);
  CHECK_FALSE(read_reply(replies[0]).message.empty());
  std::size_t refused = 0;
  for (const auto reply : replies) refused += reply.getCode() == wire::Code::INVALID_ARGUMENT;
  CHECK(refused == batch_operations_max);
}

TEST_CASE("an empty batch has an empty answer", "[cluster][rpc][session]") {
  rpc_fixture f{false};
  stock_client c{f};
  CHECK(c.session.executeRequest().send().wait(c.wait).getReplies().size() == 0);
  const auto atomic = c.session.executeAtomicRequest().send().wait(c.wait);
  CHECK(read_status(atomic.getStatus()).ok());
}

TEST_CASE("a bulk load is stored in order and on disk when it is finished",
          "[cluster][rpc][session]") {
  const bool on_disk = GENERATE(false, true);
  rpc_fixture f{on_disk};
  stock_client c{f};
  auto ingest = c.session.ingestRequest().send().wait(c.wait).getIngest();
  for (int part = 0; part < 50; ++part) {
    auto request = ingest.putRequest();
    auto entries = request.initEntries(300);
    for (unsigned i = 0; i < 300; ++i) {
      entries[i].setKey(as_data("k" + std::to_string(i)));
      entries[i].setValue(as_data(std::to_string(part)));
    }
    request.send().wait(c.wait); // resolves as soon as the window has room
  }
  const auto end = ingest.finishRequest().send().wait(c.wait);
  CHECK(end.getStored() == 15'000);
  CHECK(end.getFailed() == 0);
  CHECK_FALSE(end.hasStatus());
  for (int i = 0; i < 300; ++i) CHECK(f.engine.get("k" + std::to_string(i)) == "49");
  if (on_disk)
    for (std::uint32_t s = 0; s < 4; ++s) {
      const auto stats = f.engine->stats(shard_id{s});
      CHECK(stats.durable_lsn == stats.last_lsn);
    }
}

TEST_CASE("a bulk load counts what it could not store and says why", "[cluster][rpc][session]") {
  rpc_fixture f{true};
  stock_client c{f};
  auto ask = c.session.ingestRequest();
  ask.setDurability(wire::Durability::MEMORY);
  auto ingest = ask.send().wait(c.wait).getIngest();
  auto request = ingest.putRequest();
  auto entries = request.initEntries(3);
  entries[0].setKey(as_data("a"));
  entries[2].setKey(as_data("c"));
  request.send().wait(c.wait);
  const auto end = ingest.finishRequest().send().wait(c.wait);
  CHECK(end.getStored() == 2);
  CHECK(end.getFailed() == 1);
  CHECK(end.getStatus().getCode() == wire::Code::INVALID_ARGUMENT);
  CHECK(f.engine.get("c").empty());
}

TEST_CASE("a bulk load names its failures and goes on behind an answer",
          "[cluster][rpc][session]") {
  rpc_fixture f{false};
  stock_client c{f};
  auto ingest = c.session.ingestRequest().send().wait(c.wait).getIngest();
  const auto put = [&](std::vector<std::string> keys, std::uint64_t expires, std::uint64_t ttl) {
    auto request = ingest.putRequest();
    auto entries = request.initEntries(static_cast<unsigned>(keys.size()));
    for (unsigned i = 0; i < entries.size(); ++i) {
      entries[i].setKey(as_data(keys[i]));
      entries[i].setExpiresAtMs(expires);
      entries[i].setTimeToLiveMs(ttl);
    }
    request.send().wait(c.wait);
  };
  put({"a", "b", "", "c"}, 0, 0);
  put({"d"}, 4'000'000'000'000, 1'000); // both
  const auto first = ingest.finishRequest().send().wait(c.wait);
  CHECK(first.getStored() == 3);
  CHECK(first.getFailed() == 2);
  REQUIRE(first.getFailures().size() == 2);
  CHECK(first.getFailures()[0].getIndex() == 2);
  CHECK(first.getFailures()[1].getIndex() == 4);
  CHECK(as_view(first.getFailures()[1].getKey()) == "d");
  CHECK(read_status(first.getFailures()[1].getStatus()).code() == op_code::invalid_argument);

  put({"e"}, 0, 60'000);
  put({std::string(2'000, 'k')}, 4'000'000'000'000, 1'000);
  for (int i = 0; i < 100; ++i) put({""}, 0, 0);
  const auto second = ingest.finishRequest().send().wait(c.wait);
  CHECK(second.getStored() == 4);
  CHECK(second.getFailed() == 103);
  REQUIRE(second.getFailures().size() == 64); // the others are only counted
  CHECK(second.getFailures()[2].getIndex() == 6);
  CHECK_FALSE(second.getFailures()[2].hasKey()); // too long to be repeated
  auto exists = c.session.existsRequest();
  exists.setKey(as_data("e"));
  CHECK(exists.send().wait(c.wait).getReply().getExpiresAtMs() > 0);
}

TEST_CASE("a ping that is too long is no ping", "[cluster][rpc][session]") {
  rpc_fixture f{false};
  stock_client c{f};
  auto ping = c.session.pingRequest();
  ping.initPayload(64 * 1024 + 1);
  CHECK_THROWS_AS(ping.send().wait(c.wait), kj::Exception);
  CHECK(c.get("none") == "not_found"); // the connection is as good as before
}

TEST_CASE("a refused login gives no session", "[cluster][rpc][session]") {
  rpc_fixture f{false};
  capnp::EzRpcClient rpc{"127.0.0.1", f.server->port()};
  auto request = rpc.getMain<wire::Warp>().loginRequest();
  request.setToken(as_data("guess"));
  const auto answer = request.send().wait(rpc.getWaitScope());
  CHECK(answer.getStatus().getCode() == wire::Code::UNAUTHORIZED);
  CHECK_FALSE(answer.hasSession());
  // Whoever calls it all the same gets nowhere.
  CHECK_THROWS_AS(answer.getSession().pingRequest().send().wait(rpc.getWaitScope()), kj::Exception);
}

} // namespace
} // namespace warp::cluster
