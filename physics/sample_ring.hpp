#pragma once

#include "physics/access_sample.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <span>
#include <vector>

namespace warp::physics {

/// A bounded buffer of samples between the one thread that takes them and the one that learns from
/// them. No locks: each side owns its end and only looks at the other's (Lamport 1983). When it is
/// full the sample is dropped, never the request that waits for it.
class sample_ring {
public:
  /// capacity >= 1 samples, rounded up to a power of two; 128 bytes each.
  explicit sample_ring(std::size_t capacity)
      : samples_(std::bit_ceil(std::max<std::size_t>(capacity, 1))) {}

  // -- by the thread that takes samples ----------------------------------------------------------

  /// Room for the next sample, or null when there is none; to be filled, then publish().
  [[nodiscard]] access_sample* claim() noexcept {
    const auto tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_seen_ == samples_.size()) {
      head_seen_ = head_.load(std::memory_order_acquire);
      if (tail - head_seen_ == samples_.size()) return nullptr;
    }
    return &samples_[tail & (samples_.size() - 1)];
  }
  void publish() noexcept {
    tail_.store(tail_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
  }

  // -- by the thread that learns -----------------------------------------------------------------

  /// Hands what has arrived, in order, to `use(std::span<const access_sample>)`, in at most two
  /// pieces that are valid during the call, and makes room. How many there were.
  template <class Use>
  std::size_t drain(Use&& use) {
    const auto head = head_.load(std::memory_order_relaxed);
    const auto count = tail_.load(std::memory_order_acquire) - head;
    const auto begin = head & (samples_.size() - 1);
    const auto first = std::min(count, samples_.size() - begin);
    if (first > 0) use(std::span<const access_sample>{samples_.data() + begin, first});
    if (count > first) use(std::span<const access_sample>{samples_.data(), count - first});
    head_.store(head + count, std::memory_order_release);
    return count;
  }

  [[nodiscard]] std::size_t capacity() const noexcept { return samples_.size(); }

private:
  std::vector<access_sample> samples_;
  alignas(64) std::atomic<std::size_t> tail_{0}; ///< the next to be published
  std::size_t head_seen_ = 0;                    ///< by the thread that takes samples
  alignas(64) std::atomic<std::size_t> head_{0}; ///< the next to be learned from
};

} // namespace warp::physics
