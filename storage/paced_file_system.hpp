#pragma once

#include "storage/file_system.hpp"

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace warp::storage {

/// Another file system for somebody who only reads and has time: no more than so many bytes a
/// second, until it is stopped. What would change something is refused. Thread-safe.
class paced_file_system final : public file_system {
public:
  /// `rate_bytes`: a second; 0: no limit. `below` is borrowed.
  paced_file_system(file_system& below, std::uint64_t rate_bytes)
      : below_(below), rate_bytes_(rate_bytes) {}

  /// From now on every read answers shutting_down, also one that waits for its turn.
  void stop();
  [[nodiscard]] bool stopped() const noexcept { return stopped_.load(std::memory_order_relaxed); }
  /// Read so far.
  [[nodiscard]] std::uint64_t bytes() const noexcept {
    return bytes_.load(std::memory_order_relaxed);
  }

  op_result<std::unique_ptr<file>> open(const std::string& path, open_mode mode) override;
  op_result<std::vector<std::string>> list(const std::string& folder) override;
  op_result<bool> exists(const std::string& path) override;
  op_status create_folder(const std::string& path) override;
  op_status rename(const std::string& from, const std::string& to) override;
  op_status remove(const std::string& path) override;
  op_status sync_folder(const std::string& folder) override;
  op_result<std::uint64_t> free_bytes(const std::string& path) override;
  op_result<std::unique_ptr<folder_lock>> lock(const std::string& folder) override;

  /// For its files: counts `bytes` that were read and waits as long as that takes.
  op_status take(std::uint64_t bytes);

private:
  file_system& below_;
  const std::uint64_t rate_bytes_;
  std::atomic<std::uint64_t> bytes_{0};
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;
  std::condition_variable changed_;
};

} // namespace warp::storage
