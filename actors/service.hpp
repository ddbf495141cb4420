#pragma once

#include "actors/metric_source.hpp"
#include "messages/status.hpp"

#include <chrono>
#include <functional>
#include <mutex>
#include <string>
#include <utility>

namespace warp::actors {

/// A front end with threads of its own (RPC, RESP, HTTP) that lives in the supervision tree without
/// knowing actors. A service actor starts it, stops it, and starts it again when it says that it
/// has failed.
///
///   (stopped) --start() ok--> (running) --stop()--> (stopped)      start() failing leaves it
///   stopped
///                                |
///                                +--fail(cause): the actor ends; its successor calls stop(), then
///                                start()
///
/// start() and stop() are called by one thread at a time, never concurrently, in any alternation;
/// stop() may also come twice. The others may be called by any thread at any time after
/// construction.
class service : public metric_source {
public:
  /// Unique among the services of a universe, lower case with dashes; part of the path in the tree
  /// ("universe/front/<name>").
  [[nodiscard]] virtual std::string name() const = 0;

  /// Starts listening and returns when it answers (or never will: then with a status that says
  /// why). May block.
  virtual op_status start() = 0;

  /// Stops intake, lets what is under way finish until `deadline`, then ends it. Joins its threads.
  /// May block until then.
  virtual void stop(std::chrono::steady_clock::time_point deadline) = 0;

  /// ok while it answers; else the sentence that /healthz shows.
  [[nodiscard]] virtual op_status health() const { return {}; }

  /// Nothing to show, unless overridden.
  void collect(std::vector<metric>&) const override {}

  /// Set by the service actor before start(); replaced at every restart.
  void on_failure(std::function<void(op_status)> handler) {
    std::lock_guard guard{mutex_};
    handler_ = std::move(handler);
  }

protected:
  /// For the service's own threads: says that it can't go on (its listener died, ...). Does not
  /// block on stop().
  void fail(op_status cause) {
    std::lock_guard guard{mutex_};
    if (handler_) handler_(std::move(cause));
  }

private:
  std::mutex mutex_;
  std::function<void(op_status)> handler_;
};

} // namespace warp::actors
