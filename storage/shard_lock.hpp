#pragma once

#include <atomic>
#include <cstdint>

namespace warp::storage {

/// The lock of a shard: one byte (and a counter), spins briefly, then sleeps in the kernel.
/// Satisfies Lockable (std::lock_guard, std::unique_lock). Not recursive. Held for microseconds (by
/// a transaction that computes as long as it does so) and never over I/O.
class shard_lock {
public:
  shard_lock() = default;
  shard_lock(const shard_lock&) = delete;
  shard_lock& operator=(const shard_lock&) = delete;

  void lock() noexcept {
    std::uint8_t expected = free_;
    if (state_.compare_exchange_strong(expected, held_, std::memory_order_acquire,
                                       std::memory_order_relaxed)) [[likely]]
      return;
    lock_slow();
  }

  bool try_lock() noexcept {
    std::uint8_t expected = free_;
    return state_.compare_exchange_strong(expected, held_, std::memory_order_acquire,
                                          std::memory_order_relaxed);
  }

  void unlock() noexcept {
    if (state_.exchange(free_, std::memory_order_release) == waited_for_) [[unlikely]]
      state_.notify_one();
  }

  /// How often lock() found it held. Read under the lock.
  [[nodiscard]] std::uint32_t waits() const noexcept { return waits_; }

private:
  static constexpr std::uint8_t free_ = 0, held_ = 1, waited_for_ = 2;
  void lock_slow() noexcept;

  std::atomic<std::uint8_t> state_{free_};
  std::uint32_t waits_ = 0; // changed by a holder that had to wait: no second contended write
};

} // namespace warp::storage
