#pragma once

#include "actors/change_bell.hpp"
#include "messages/status.hpp"
#include "storage/engine.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <map>
#include <mutex>
#include <string>

namespace warp::actors {

/// Backups that are made without being asked for.
struct backup_schedule {
  std::string folder;               ///< of the repository
  std::chrono::seconds interval{0}; ///< 0: none
  std::uint64_t keep = 0;           ///< the newest so many stay after a scheduled one; 0: all
  std::uint64_t rate_bytes = 0;     ///< a second, of scheduled ones and others; 0: no limit
};

/// How far an order is, or what became of it.
struct backup_state {
  bool done = false;
  std::uint64_t bytes_done = 0, bytes_total = 0; ///< of the one under way
  op_status result;                              ///< when done
  std::string name;                              ///< of the backup
  std::uint64_t bytes = 0, new_bytes = 0, taken_us = 0;
  std::string anew; ///< why no moment between it and the backup before can be restored; or empty
};

/// What the metrics show.
struct backup_counters {
  std::uint64_t made = 0, failed = 0;
  std::uint64_t last_us = 0; ///< when the newest one was taken; 0: none since the start
  std::uint64_t last_bytes = 0, last_new_bytes = 0;
};

/// Orders for backups and what became of them; one is made at a time, by whoever drives run().
/// Thread-safe. A killed driver never loses an order that has not begun; one under way fails.
class backup_gate {
public:
  /// Borrows both; rings whenever a backup has come on by a hundredth, or has ended.
  backup_gate(storage::engine& engine, change_bell& changes)
      : engine_(engine), progress_(changes) {}

  /// Before run().
  void configure(backup_schedule schedule);
  [[nodiscard]] const backup_schedule& schedule() const noexcept { return schedule_; }

  /// Orders a backup into this repository and returns its ticket. overloaded: too many wait;
  /// shutting_down.
  op_result<std::uint64_t> order(std::string folder);
  /// not_found: no such ticket, or too long ago.
  [[nodiscard]] op_result<backup_state> state(std::uint64_t ticket) const;
  [[nodiscard]] backup_counters counters() const;

  /// One turn: waits up to `wait_max` for an order or for its time, then makes one backup.
  void run(std::chrono::milliseconds wait_max);
  /// Ends the waiting of run(), and gives up the backup that it makes.
  void interrupt() noexcept;
  /// interrupt(), for good.
  void stop() noexcept;

private:
  struct job {
    std::uint64_t ticket = 0;
    std::string folder;
    bool scheduled = false;
  };

  bool take(std::chrono::milliseconds wait_max, job& next);
  void find_due();
  [[nodiscard]] backup_state make(const job& j);
  void note_end(const job& next, backup_state made);

  storage::engine& engine_;
  change_bell& progress_;
  backup_schedule schedule_;

  mutable std::mutex mutex_; ///< guards what follows
  std::condition_variable changed_;
  std::deque<job> orders_;
  std::map<std::uint64_t, backup_state> states_; ///< by ticket; of the last ones
  std::uint64_t tickets_ = 0;
  backup_counters counters_;
  bool interrupted_ = false;
  std::chrono::steady_clock::time_point due_{};
  bool due_known_ = false;

  std::atomic<bool> stopping_{false}, give_up_{false};
};

} // namespace warp::actors
