#pragma once

#include "cluster/loop_signal.hpp"
#include "messages/ids.hpp"
#include "messages/status.hpp"
#include "storage/engine.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <kj/async.h>
#include <kj/timer.h>
#include <vector>

namespace warp::cluster {

/// The calls of one event loop that wait for the disk. The log's writer wakes the loop once per
/// round, and only if somebody waits; the loop then answers whatever has become durable.
class durable_waiters final : public storage::round_listener {
public:
  struct target {
    shard_id shard;
    lsn_t lsn = 0;
  };
  using clock = std::chrono::steady_clock;

  /// On the loop's thread. Registers with the engine, which is borrowed as are the timer and
  /// `waiting` (a gauge).
  durable_waiters(storage::engine& engine, kj::UnixEventPort& port, kj::Timer& timer,
                  std::atomic<std::uint64_t>& waiting);
  /// On the loop's thread; calls that still wait fail.
  ~durable_waiters() noexcept override;

  /// ok: all of them are on disk. io_error: the log has failed. timed_out: the deadline passed,
  /// nothing is known. Dropping the promise ends the wait.
  kj::Promise<op_code> wait(std::vector<target> targets, clock::time_point deadline);

  [[nodiscard]] bool empty() const noexcept { return parked_.empty(); }

  /// On a log writer's thread; nothing in a cluster, where answers are told of.
  void on_round() noexcept override;
  void on_answers() noexcept override;

private:
  struct parked {
    std::vector<target> targets;
    std::size_t done = 0; ///< targets before it are on disk
    clock::time_point deadline;
    kj::Own<kj::PromiseFulfiller<op_code>> fulfiller;
  };
  enum class outcome : std::uint8_t { pending, durable, failed };

  outcome look(const std::vector<target>& targets, std::size_t& done) const noexcept;
  void sweep();
  kj::Promise<void> watch();
  kj::Promise<void> tick();

  storage::engine& engine_;
  kj::Timer& timer_;
  std::atomic<std::uint64_t>& gauge_;
  std::atomic<std::uint32_t> count_{0}; // parked_.size(), for the writers
  std::vector<parked> parked_;
  bool ticking_ = false;
  loop_signal signal_;
  kj::Promise<void> watching_;
  kj::Promise<void> ticks_;
};

} // namespace warp::cluster
