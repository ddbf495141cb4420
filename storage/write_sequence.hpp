#pragma once

#include <atomic>
#include <cstdint>

namespace warp::storage {

/// Lets readers without a lock notice that what they read was being changed (a sequence lock): odd
/// while a writer is at work. A reader notes the number, reads, and believes what it read only if
/// the number was even and is the same afterwards. See H. Boehm, "Can seqlocks get along with
/// programming language memory models?" (MSPC 2012).
///
/// Writers take turns by a lock of their own. What they write meanwhile must be memory that stays
/// readable, and readers must take any bytes for possible until unchanged() says so.
class write_sequence {
public:
  void begin_write() noexcept {
    number_.store(number_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    fence<std::memory_order_release>(); // what follows is not seen before the odd number
  }
  void end_write() noexcept {
    number_.store(number_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

  /// The number to compare with later; odd: a writer is at work, don't read.
  [[nodiscard]] std::uint32_t begin_read() const noexcept {
    return number_.load(std::memory_order_acquire);
  }
  [[nodiscard]] bool unchanged(std::uint32_t since) const noexcept {
    fence<std::memory_order_acquire>(); // what was read was not read later than this
    return number_.load(std::memory_order_relaxed) == since;
  }

private:
  template <std::memory_order Order>
  static void fence() noexcept {
#if defined(__SANITIZE_THREAD__)
    // The thread sanitizer knows no fences. On x86, where it runs, keeping the compiler in order is
    // all that a fence of these kinds does.
    std::atomic_signal_fence(Order);
#else
    std::atomic_thread_fence(Order);
#endif
  }

  std::atomic<std::uint32_t> number_{0};
};

} // namespace warp::storage
