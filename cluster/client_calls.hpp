#pragma once

#include "cluster/client.hpp"
#include "cluster/client_core.hpp"
#include "cluster/client_watches.hpp"

#include <chrono>
#include <future>
#include <memory>
#include <optional>

namespace warp {

/// What a client's public face is made of.
struct client::state {
  explicit state(client_options options) : core(std::move(options)) {}
  ~state() { watches->close(); }

  /// Fills the items of a job from a batch whose bytes are at `bytes` and live until the job is
  /// done.
  static void load(cluster::client_job& job, const client_batch& batch, const char* bytes);

  /// Blocks for a call that is no operation. `send(session, out)` returns a promise of a status and
  /// fills *out, a shared pointer that outlives a caller whose deadline has passed.
  template <class Result, class Send>
  /// `slot`: in a cluster it is for the node that serves it; else for any.
  op_result<Result> call(Send send, std::chrono::milliseconds deadline = {}, bool once = false,
                         std::optional<slot_id> slot = {}) {
    auto out = std::make_shared<Result>();
    auto status = std::make_shared<std::promise<op_status>>();
    auto answered = status->get_future();
    auto c = std::make_shared<cluster::client_call>();
    c->send = [send = std::move(send), out](wire::Session::Client session) {
      return send(std::move(session), out);
    };
    c->once = once;
    c->slot = slot;
    c->deadline =
        cluster::client_clock::now() + (deadline.count() == 0 ? core.options().deadline : deadline);
    c->done = [status](op_status s) { status->set_value(std::move(s)); };
    core.submit(std::move(c));
    if (auto s = answered.get(); !s.ok()) return s;
    return std::move(*out);
  }

  cluster::client_core core;
  std::shared_ptr<cluster::client_watches> watches =
      std::make_shared<cluster::client_watches>(core);
};

} // namespace warp
