#pragma once

#include "cluster/kj_loop.hpp"
#include "cluster/listen_socket.hpp"
#include "messages/conversion.hpp"
#include "messages/warp.capnp.h"

#include <atomic>
#include <capnp/rpc-twoparty.h>
#include <functional>
#include <kj/async-io.h>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace warp::cluster {

/// A server that knows just enough to make a client's life hard: a map, request ids, and a script
/// of what goes wrong. The script is asked once per `execute`, on the server's thread.
class fake_server {
public:
  enum class fate {
    answer,           ///< do it and answer
    refuse,           ///< do nothing, answer every operation with `refusal`
    refuse_call,      ///< do nothing, answer the call as a whole with `refusal`
    drop_undone,      ///< drop the connection before doing anything
    drop_done,        ///< do it, then drop the connection instead of answering
    never_answer,     ///< do it and keep silent
    fail,             ///< answer with an RPC exception
    answer_too_little ///< one reply less than there are operations
  };
  struct seen {
    request_id request; ///< of the call
    std::vector<std::uint64_t> numbers;
    std::uint32_t deadline_ms = 0;
  };

  explicit fake_server(std::uint16_t port = 0) { start(port); }
  ~fake_server() { stop(); }

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  /// What becomes of the next executes, one after the other; then `answer`.
  void script(std::vector<fate> fates) {
    std::lock_guard lock{mutex_};
    fates_ = std::move(fates);
  }
  void always(fate f) {
    std::lock_guard lock{mutex_};
    always_ = f;
  }
  void login_status(op_status status) {
    std::lock_guard lock{mutex_};
    login_ = std::move(status);
  }
  op_code refusal = op_code::overloaded; ///< set before the first call

  std::vector<seen> calls() {
    std::lock_guard lock{mutex_};
    return calls_;
  }
  std::map<std::string, std::string> content() {
    std::lock_guard lock{mutex_};
    return content_;
  }
  /// How often a write was really done.
  std::uint64_t writes_done() {
    std::lock_guard lock{mutex_};
    return writes_done_;
  }

  void stop() {
    if (!loop_) return;
    loop_->post([this] { end_->fulfill(); });
    loop_.reset();
  }
  /// After stop(): listens on the same port again, with the same content.
  void start_again() { start(port_); }

private:
  using execute_context =
      capnp::CallContext<wire::Session::ExecuteParams, wire::Session::ExecuteResults>;

  struct connection {
    connection(kj::Own<kj::AsyncIoStream> socket, fake_server& server)
        : io(kj::mv(socket)), network(*io, capnp::rpc::twoparty::Side::SERVER),
          rpc(capnp::makeRpcServer(network, kj::heap<door>(server, *this))) {}
    kj::Own<kj::AsyncIoStream> io;
    capnp::TwoPartyVatNetwork network;
    capnp::RpcSystem<capnp::rpc::twoparty::VatId> rpc;
    kj::Own<kj::PromiseFulfiller<void>> drop;
  };

  class session final : public wire::Session::Server {
  public:
    session(fake_server& server, connection& on) : server_(server), on_(on) {}
    kj::Promise<void> ping(PingContext) override { return kj::READY_NOW; }
    kj::Promise<void> execute(ExecuteContext call) override { return server_.execute(call, on_); }

  private:
    fake_server& server_;
    connection& on_;
  };

  class door final : public wire::Warp::Server {
  public:
    door(fake_server& server, connection& on) : server_(server), on_(on) {}
    kj::Promise<void> login(LoginContext call) override {
      std::lock_guard lock{server_.mutex_};
      if (!server_.login_.ok()) {
        write_status(server_.login_, call.getResults().initStatus());
        return kj::READY_NOW;
      }
      call.getResults().setSession(kj::heap<session>(server_, on_));
      auto info = call.getResults().initInfo();
      info.setShardCount(1);
      info.setDefaultDurability(wire::Durability::ASYNC);
      info.setValueBytesMax(100'000);
      info.setBatchOperationsMax(65'536);
      return kj::READY_NOW;
    }

  private:
    fake_server& server_;
    connection& on_;
  };

  fate next_fate() {
    if (fates_.empty()) return always_;
    const auto f = fates_.front();
    fates_.erase(fates_.begin());
    return f;
  }

  kj::Promise<void> execute(execute_context call, connection& on) {
    std::lock_guard lock{mutex_};
    const auto params = call.getParams();
    const auto header = read_call(params.getCall());
    const auto operations = params.getOperations();
    seen s{header.request, {}, params.getCall().getDeadlineMs()};
    for (std::uint32_t i = 0; i < operations.size(); ++i)
      s.numbers.push_back(request_of(header.request, i, operations[i].getRequestSkip()).number);
    calls_.push_back(s);

    const auto f = next_fate();
    if (f == fate::fail) return KJ_EXCEPTION(FAILED, "the fake has failed");
    if (f == fate::drop_undone) return drop(on);
    if (f == fate::refuse_call) {
      write_status({refusal, "refused by the fake"}, call.getResults().initStatus());
      return kj::READY_NOW;
    }
    const auto count = operations.size() - (f == fate::answer_too_little ? 1 : 0);
    auto replies = call.getResults().initReplies(count);
    for (std::uint32_t i = 0; i < count; ++i) {
      if (f == fate::refuse) {
        write_reply({refusal}, replies[i]);
        continue;
      }
      operation op;
      KJ_REQUIRE(read_operation(operations[i], 0, op).ok());
      write_reply(apply(op, {header.request.client, s.numbers[i]}), replies[i]);
    }
    if (f == fate::drop_done) return drop(on);
    if (f == fate::never_answer) return kj::NEVER_DONE;
    return kj::READY_NOW;
  }

  reply_view apply(const operation& op, std::pair<std::uint64_t, std::uint64_t> request) {
    const std::string key{op.key};
    if (!is_write(op.kind)) {
      const auto found = content_.find(key);
      if (found == content_.end()) return {op_code::not_found};
      reply_view reply;
      reply.value = found->second;
      return reply;
    }
    if (const auto before = results_.find(request); before != results_.end()) return before->second;
    ++writes_done_;
    reply_view reply;
    if (op.kind == op_kind::put) content_[key] = std::string{op.value};
    if (op.kind == op_kind::erase) content_.erase(key);
    if (op.kind == op_kind::increment) {
      auto& value = content_[key];
      reply.number = (value.empty() ? 0 : std::stoll(value)) + op.delta;
      value = std::to_string(reply.number);
    }
    results_[request] = reply;
    return reply;
  }

  static kj::Promise<void> drop(connection& on) {
    on.drop->fulfill();
    return kj::NEVER_DONE;
  }

  void start(std::uint16_t port) {
    auto socket = listen_socket::open("127.0.0.1:" + std::to_string(port), "test");
    if (!socket) throw std::runtime_error(socket.status().to_string());
    port_ = socket->port();
    socket_.emplace(std::move(*socket));
    loop_.emplace("fake-server", [this](kj_loop& loop) { return run(loop); });
  }

  kj::Promise<void> run(kj_loop& loop) {
    auto end = kj::newPromiseAndFulfiller<void>();
    end_ = kj::mv(end.fulfiller);
    receiver_ = loop.io().lowLevelProvider->wrapListenSocketFd(
        socket_->release(), kj::LowLevelAsyncIoProvider::TAKE_OWNERSHIP);
    tasks_ = kj::heap<kj::TaskSet>(errors_);
    tasks_->add(accept());
    return end.promise.then([this] {
      tasks_ = nullptr;
      receiver_ = nullptr;
      end_ = nullptr;
    });
  }

  kj::Promise<void> accept() {
    return receiver_->accept().then([this](kj::Own<kj::AsyncIoStream> io) {
      auto c = kj::heap<connection>(kj::mv(io), *this);
      auto drop = kj::newPromiseAndFulfiller<void>();
      c->drop = kj::mv(drop.fulfiller);
      tasks_->add(c->network.onDisconnect().exclusiveJoin(kj::mv(drop.promise)).attach(kj::mv(c)));
      return accept();
    });
  }

  struct ignore_errors final : kj::TaskSet::ErrorHandler {
    void taskFailed(kj::Exception&&) override {}
  };

  std::mutex mutex_;
  std::vector<fate> fates_;
  fate always_ = fate::answer;
  op_status login_;
  std::vector<seen> calls_;
  std::map<std::string, std::string> content_;
  std::map<std::pair<std::uint64_t, std::uint64_t>, reply_view> results_;
  std::uint64_t writes_done_ = 0;

  std::uint16_t port_ = 0;
  std::optional<listen_socket> socket_;
  ignore_errors errors_;
  kj::Own<kj::ConnectionReceiver> receiver_;
  kj::Own<kj::PromiseFulfiller<void>> end_;
  kj::Own<kj::TaskSet> tasks_;
  std::optional<kj_loop> loop_;
};

} // namespace warp::cluster
