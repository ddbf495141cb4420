#pragma once

#include "messages/ids.hpp"
#include "messages/status.hpp"
#include "storage/engine.hpp"

#include <atomic>
#include <cstdint>
#include <mutex>

namespace warp::actors {

/// One checkpoint at a time, whoever asks: the checkpointer, a call of the library, a stop. So the
/// disk serves writers first, and a killed checkpointer never meets its successor.
class checkpoint_gate {
public:
  explicit checkpoint_gate(storage::engine& engine) : engine_(engine) {}

  /// Blocks while another one runs, then for this one.
  op_status run(shard_id shard) {
    std::lock_guard guard{mutex_};
    auto status = engine_.checkpoint(shard);
    if (!status.ok()) failures_.fetch_add(1, std::memory_order_relaxed);
    return status;
  }
  /// The same for the checkpoints that take the place of a failed log.
  op_status mend() {
    std::lock_guard guard{mutex_};
    return engine_.mend_log();
  }
  [[nodiscard]] std::uint64_t failures() const noexcept {
    return failures_.load(std::memory_order_relaxed);
  }

private:
  storage::engine& engine_;
  std::mutex mutex_;
  std::atomic<std::uint64_t> failures_{0};
};

} // namespace warp::actors
