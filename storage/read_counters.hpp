#pragma once

#include "storage/stats.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

namespace warp::storage {

/// Counts reads that take no lock: each thread counts in memory of its own, per shard, so that no
/// cache line that is written is shared. Thread-safe.
class read_counters {
public:
  /// Of one shard, written by one thread only.
  class alignas(32) cell {
  public:
    [[gnu::always_inline]] void count_hit(std::uint64_t bytes) noexcept {
      bump(hits_, 1);
      bump(bytes_, bytes);
    }
    void count_miss() noexcept { bump(misses_, 1); }
    void count_other() noexcept { bump(others_, 1); }
    /// One hit in 64 is timed: the clock costs as much as a read.
    [[nodiscard]] bool sampled() const noexcept {
      return (hits_.load(std::memory_order_relaxed) & 63) == 0;
    }

  private:
    friend class read_counters;
    [[gnu::always_inline]] static void bump(std::atomic<std::uint64_t>& counter,
                                            std::uint64_t by) noexcept {
      counter.store(counter.load(std::memory_order_relaxed) + by, std::memory_order_relaxed);
    }
    std::atomic<std::uint64_t> hits_{0}, misses_{0}, bytes_{0}, others_{0};
  };

  explicit read_counters(std::uint32_t shards);

  /// The calling thread's cells, one per shard; its own until it ends. Null: no memory.
  [[nodiscard]] cell* mine() noexcept {
    const auto& last = last_used_;
    return last.number == number_ ? last.cells : claim_sheet();
  }

  /// Are mine() at hand? Then they are ready().
  [[nodiscard]] bool are_ready() const noexcept { return last_used_.number == number_; }
  [[nodiscard]] cell* ready() const noexcept { return last_used_.cells; }
  /// No more, on this thread, until the next mine().
  static void put_away() noexcept { last_used_ = {}; }

  /// Adds what all threads, past and present, have counted for a shard.
  void add_to(std::uint32_t shard, shard_stats& out) const;

private:
  /// What one thread counts in; another one goes on with it when that thread has ended.
  struct sheet {
    explicit sheet(std::uint32_t shards) : cells(std::make_unique<cell[]>(shards)) {}
    std::unique_ptr<cell[]> cells;
    std::atomic<bool> taken{true};
  };
  struct claim;
  struct claims;

  /// The sheet that this thread used last; almost always the one it needs.
  struct last_used {
    std::uint64_t number = 0;
    cell* cells = nullptr;
  };
  static constinit thread_local last_used last_used_;

  cell* claim_sheet() noexcept;
  cell* find_sheet();

  const std::uint64_t number_; ///< of this object; no two in a process have the same
  const std::uint32_t shards_;
  mutable std::mutex mutex_;
  std::vector<std::shared_ptr<sheet>> sheets_;
};

} // namespace warp::storage
