#pragma once

#include "cluster/rpc_session.hpp"
#include "messages/conversion.hpp"
#include "messages/warp.capnp.h"

#include <memory>

namespace warp::cluster {

/// Whether a connection has logged in: shared by its door and whoever watches it.
struct login_state {
  bool done = false;
};

/// The bootstrap capability, `Warp`: lets clients in.
class rpc_door final : public wire::Warp::Server {
public:
  rpc_door(rpc_context& context, std::shared_ptr<login_state> login)
      : context_(context), login_(std::move(login)) {}

  kj::Promise<void> login(LoginContext call) override {
    context_.counters.calls.fetch_add(1, std::memory_order_relaxed);
    auto results = call.getResults();
    if (const auto status = admit(as_view(call.getParams().getToken())); !status.ok()) {
      context_.counters.logins_refused.fetch_add(1, std::memory_order_relaxed);
      write_status(status, results.initStatus());
      return kj::READY_NOW;
    }
    login_->done = true;
    results.setSession(kj::heap<rpc_session>(context_, watches_));
    write_info(context_, results.initInfo());
    return kj::READY_NOW;
  }

private:
  op_status admit(std::string_view token) {
    if (context_.draining) return {op_code::shutting_down, "the server is stopping"};
    if (context_.options.authenticate) return context_.options.authenticate(token);
    if (token.empty()) return {};
    return {op_code::unauthorized, "this server has no users: log in with an empty token"};
  }

  rpc_context& context_;
  std::shared_ptr<login_state> login_;
  std::shared_ptr<connection_watches> watches_ = std::make_shared<connection_watches>();
};

} // namespace warp::cluster
