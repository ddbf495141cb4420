#pragma once

#include "storage/engine.hpp"

#include <chrono>
#include <cstdint>
#include <mutex>

namespace warp::actors {

/// The right to drive one log stream, held by one thread at a time: a killed writer may still be
/// inside its last turn when its successor starts. What the stream is made of stays in the engine,
/// so the successor just goes on.
class stream_lease {
public:
  stream_lease(storage::engine& engine, std::uint32_t stream) : engine_(engine), stream_(stream) {}

  /// One turn: waits up to `wait_max` for work, then writes and syncs a round.
  void turn(std::chrono::milliseconds wait_max) {
    std::lock_guard guard{mutex_};
    engine_.run_stream(stream_, wait_max);
  }
  /// Ends a wait early. Any thread.
  void interrupt() noexcept { engine_.interrupt_stream(stream_); }
  /// Returns when nobody is inside a turn.
  void wait_free() { std::lock_guard guard{mutex_}; }

private:
  storage::engine& engine_;
  std::uint32_t stream_;
  std::mutex mutex_;
};

} // namespace warp::actors
