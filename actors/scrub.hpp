#pragma once

#include "actors/change_bell.hpp"
#include "actors/scrub_status.hpp"
#include "storage/engine.hpp"
#include "storage/paced_file_system.hpp"

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace warp::actors {

/// Reads everything at rest in the engine's folder now and then and checks it, slowly, before it is
/// needed: options().scrub_interval apart, scrub_rate_bytes a second. Somebody calls turn() in a
/// loop on a thread of its own. Thread-safe.
class scrub {
public:
  /// Borrows both; rings whenever a run has ended.
  scrub(storage::engine& engine, change_bell& ended);

  /// Waits up to `wait_max` until a run is due or asked for, then makes it.
  void turn(std::chrono::milliseconds wait_max);
  /// Ends the waiting, or the run under way; any thread.
  void interrupt();
  /// Asks for a run now; returns its number: it has ended when status().finished reaches it.
  std::uint64_t request();
  [[nodiscard]] scrub_status status() const;

private:
  using steady = std::chrono::steady_clock;
  void run();

  void note_end(op_result<storage::verify_report> report, std::uint64_t bytes);

  storage::engine& engine_;
  change_bell& ended_;
  const std::chrono::seconds interval_; ///< 0: only when asked
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  scrub_status status_;
  bool wanted_ = false, interrupted_ = false;
  steady::time_point due_;
  storage::paced_file_system* running_ = nullptr; ///< while a run lasts
};

} // namespace warp::actors
