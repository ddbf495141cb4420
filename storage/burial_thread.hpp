#pragma once

#include "storage/shard.hpp"
#include "storage/table.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

namespace warp::storage {

/// Frees what clears have removed, behind those who asked for them: a table of a million records
/// takes some 80 ms. Its thread begins with the first one. Thread-safe.
class burial_thread {
public:
  burial_thread() = default;
  /// Frees what is left.
  ~burial_thread();
  burial_thread(const burial_thread&) = delete;
  burial_thread& operator=(const burial_thread&) = delete;

  /// Has shard::bury() called with it soon. False, and `cleared` stays: there is no memory, or no
  /// thread, for that. `at` must outlive this.
  [[nodiscard]] bool take(shard& at, std::unique_ptr<table>& cleared, std::uint64_t bytes) noexcept;
  /// Keys that were taken and are not freed yet.
  [[nodiscard]] std::uint64_t pending_keys() const noexcept {
    return pending_keys_.load(std::memory_order_relaxed);
  }

private:
  struct burial {
    shard* at;
    std::unique_ptr<table> cleared;
    std::uint64_t bytes; ///< of the budget
  };
  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<burial> waiting_;
  bool ends_ = false;
  std::atomic<std::uint64_t> pending_keys_{0};
  std::thread thread_;
};

} // namespace warp::storage
