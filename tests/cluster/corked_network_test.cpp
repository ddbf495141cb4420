#include "cluster/corked_network.hpp"

#include "messages/conversion.hpp"
#include "messages/warp.capnp.h"

#include <capnp/rpc.h>
#include <catch2/catch_test_macros.hpp>
#include <kj/async-io.h>
#include <memory>
#include <string>
#include <vector>

namespace warp::cluster {
namespace {

using capnp::rpc::twoparty::Side;
using capnp::rpc::twoparty::VatId;

/// Refuses every login with the token as its reason: an echo of any size.
class echo final : public wire::Warp::Server {
public:
  kj::Promise<void> login(LoginContext call) override {
    write_status({op_code::unauthorized, std::string{as_view(call.getParams().getToken())}},
                 call.getResults().initStatus());
    return kj::READY_NOW;
  }
};

/// One end of a pipe.
struct end {
  end(kj::AsyncIoStream& io, kj::Timer& timer, Side side)
      : stream(io, timer, {}), network(stream, side, options()) {}
  static capnp::ReaderOptions options() {
    capnp::ReaderOptions o;
    o.traversalLimitInWords = 1u << 20;
    return o;
  }
  corked_stream stream;
  corked_network network;
};

struct fixture {
  kj::AsyncIoContext io = kj::setupAsyncIo();
  kj::TwoWayPipe pipe = io.provider->newTwoWayPipe();
  end client{*pipe.ends[0], io.provider->getTimer(), Side::CLIENT};
  std::unique_ptr<end> server =
      std::make_unique<end>(*pipe.ends[1], io.provider->getTimer(), Side::SERVER);
  kj::Maybe<capnp::RpcSystem<VatId>> serving =
      capnp::makeRpcServer(server->network, kj::heap<echo>());
  kj::Maybe<capnp::RpcSystem<VatId>> asking = capnp::makeRpcClient(client.network);

  wire::Warp::Client bootstrap() {
    capnp::MallocMessageBuilder message;
    auto peer = message.initRoot<VatId>();
    peer.setSide(Side::SERVER);
    return KJ_REQUIRE_NONNULL(asking).bootstrap(peer).castAs<wire::Warp>();
  }
  kj::Promise<std::string> say(wire::Warp::Client to, const std::string& text) {
    auto request = to.loginRequest();
    request.setToken(as_data(text));
    return request.send().then(
        [](auto&& answer) { return std::string{as_view(answer.getStatus().getMessage())}; });
  }
};

TEST_CASE("calls of any size are answered in order", "[cluster][network]") {
  fixture f;
  auto to = f.bootstrap();
  std::vector<std::string> answers;
  auto all = kj::heapArrayBuilder<kj::Promise<void>>(60);
  for (std::size_t i = 0; i < 60; ++i)
    all.add(f.say(to, std::string(i * i * 50, char('a' + i % 26))).then([&](std::string answer) {
      answers.push_back(std::move(answer));
    }));
  kj::joinPromises(all.finish()).wait(f.io.waitScope);
  for (std::size_t i = 0; i < 60; ++i)
    CHECK(answers[i] == std::string(i * i * 50, char('a' + i % 26)));
}

TEST_CASE("a message above the limit fails its call and no other", "[cluster][network]") {
  fixture f;
  auto to = f.bootstrap();
  CHECK_THROWS_AS(f.say(to, std::string(16u << 20, 'x')).wait(f.io.waitScope), kj::Exception);
  CHECK(f.say(to, "small").wait(f.io.waitScope) == "small");
}

TEST_CASE("the server's end learns that the client has gone", "[cluster][network]") {
  fixture f;
  auto gone = f.server->network.on_disconnect();
  CHECK(f.say(f.bootstrap(), "hello").wait(f.io.waitScope) == "hello");
  CHECK_FALSE(gone.poll(f.io.waitScope));
  f.asking = nullptr;
  f.pipe.ends[0]->shutdownWrite();
  gone.wait(f.io.waitScope);
}

TEST_CASE("calls under way fail when the server has gone", "[cluster][network]") {
  fixture f;
  auto to = f.bootstrap();
  CHECK(f.say(to, "hello").wait(f.io.waitScope) == "hello");
  auto gone = f.client.network.on_disconnect();
  auto call = f.say(to, "are you there?");
  f.serving = nullptr;
  f.server = nullptr;
  f.pipe.ends[1] = nullptr;
  CHECK_THROWS_AS(call.wait(f.io.waitScope), kj::Exception);
  gone.wait(f.io.waitScope);
}

TEST_CASE("a write that fails ends the read that waits", "[cluster][network]") {
  fixture f;
  auto to = f.bootstrap();
  CHECK(f.say(to, "hello").wait(f.io.waitScope) == "hello");
  // The peer takes nothing more, and does not say so on the way back.
  f.serving = nullptr;
  f.server = nullptr;
  f.pipe.ends[1]->abortRead();
  auto first = f.say(to, "lost"); // its write finds the way closed
  f.client.stream.on_fault().wait(f.io.waitScope);
  auto second = f.say(to, "never sent");
  CHECK_THROWS_AS(second.wait(f.io.waitScope), kj::Exception);
  CHECK_THROWS_AS(first.wait(f.io.waitScope), kj::Exception);
}

} // namespace
} // namespace warp::cluster
