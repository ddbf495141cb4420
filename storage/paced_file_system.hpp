#pragma once

#include "storage/forwarding_file_system.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace warp::storage {

/// Another file system for somebody who only reads and has time: no more than so many bytes a
/// second, until it is stopped. What would change something is refused. Thread-safe.
class paced_file_system final : public forwarding_file_system {
public:
  /// `rate_bytes`: a second; 0: no limit. `below` is borrowed.
  paced_file_system(file_system& below, std::uint64_t rate_bytes)
      : forwarding_file_system(below), rate_bytes_(rate_bytes) {}

  /// From now on every read answers shutting_down, also one that waits for its turn.
  void stop();
  [[nodiscard]] bool stopped() const noexcept { return stopped_.load(std::memory_order_relaxed); }
  /// Read so far.
  [[nodiscard]] std::uint64_t bytes() const noexcept {
    return bytes_.load(std::memory_order_relaxed);
  }

  op_result<std::unique_ptr<file>> open(const std::string& path, open_mode mode) override;

  /// For its files: counts `bytes` that were read and waits as long as that takes.
  op_status take(std::uint64_t bytes);

private:
  [[nodiscard]] op_status ask(call what, const std::string& path) override;

  const std::uint64_t rate_bytes_;
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
};

} // namespace warp::storage
