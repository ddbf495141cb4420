#pragma once

#include "messages/status.hpp"
#include "storage/backup.hpp"

#include <chrono>
#include <cstdint>

namespace warp::storage {

/// Keeps a backup under way to its rate, tells how far it is, and asks whether it is still wanted.
/// One thread.
class backup_pace {
public:
  /// `options`: borrowed.
  explicit backup_pace(const backup_options& options) : options_(options) {}

  /// So many more bytes are to be copied.
  void expect(std::uint64_t bytes) noexcept { progress_.bytes_total += bytes; }
  /// These need no copy: they are there.
  void pass_over(std::uint64_t bytes) noexcept { progress_.bytes_done += bytes; }
  /// These were copied; waits when that went too fast. unavailable: the backup is to be given up.
  op_status copied(std::uint64_t bytes);
  /// unavailable, or ok.
  [[nodiscard]] op_status give_up_if_cancelled() const;

  [[nodiscard]] std::uint64_t copied_bytes() const noexcept { return copied_; }

private:
  using steady = std::chrono::steady_clock;

  const backup_options& options_;
  backup_progress progress_;
  std::uint64_t copied_ = 0;
  const steady::time_point began_ = steady::now();
};

} // namespace warp::storage
