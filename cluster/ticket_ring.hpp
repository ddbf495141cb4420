#pragma once

#include "messages/ids.hpp"
#include "storage/durable_state.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace warp::cluster {

/// What became of the answers of one shard that had to wait: each has a ticket, numbered from 1.
/// The last `size` of them are known one by one. Of an older one, which was resolved before its
/// place was taken, it is known that it is durable, unless it or a later one failed: then it reads
/// as failed, and its write as outcome_unknown.
///
/// state() by any thread, lock-free; everything else by one thread at a time.
class ticket_ring {
public:
  /// `size`: a power of two; so many may be open at a time.
  explicit ticket_ring(std::size_t size)
      : mask_(size - 1), slots_(std::make_unique<std::atomic<std::uint64_t>[]>(size)) {}

  /// Of the next ticket.
  [[nodiscard]] std::uint64_t next() const noexcept { return next_; }
  /// Is there a place for it?
  [[nodiscard]] bool has_room() const noexcept {
    return (slots_[next_ & mask_].load(std::memory_order_relaxed) & state_mask) != is_pending;
  }
  /// Needs has_room().
  [[nodiscard]] std::uint64_t take() noexcept {
    const auto ticket = next_++;
    slots_[ticket & mask_].store(ticket << state_bits | is_pending, std::memory_order_release);
    return ticket;
  }
  /// One that is open.
  void resolve(std::uint64_t ticket, bool durable) noexcept {
    if (!durable && ticket > last_failed_.load(std::memory_order_relaxed))
      last_failed_.store(ticket, std::memory_order_relaxed); // told with the slot
    slots_[ticket & mask_].store(ticket << state_bits | (durable ? is_durable : is_failed),
                                 std::memory_order_release);
  }
  /// True: there were some.
  bool fail_open() noexcept {
    bool any = false;
    for (std::size_t i = 0; i <= mask_; ++i) {
      const auto now = slots_[i].load(std::memory_order_relaxed);
      if ((now & state_mask) != is_pending) continue;
      resolve(now >> state_bits, false);
      any = true;
    }
    return any;
  }

  /// Of a number that is no ticket: failed.
  [[nodiscard]] storage::durable_state state(std::uint64_t ticket) const noexcept {
    const auto now = slots_[ticket & mask_].load(std::memory_order_acquire);
    const auto number = now >> state_bits;
    if (number == ticket) {
      const auto what = now & state_mask;
      return what == is_pending   ? storage::durable_state::pending
             : what == is_durable ? storage::durable_state::durable
                                  : storage::durable_state::failed;
    }
    return number > ticket && ticket > last_failed_.load(std::memory_order_relaxed)
               ? storage::durable_state::durable
               : storage::durable_state::failed;
  }

private:
  static constexpr unsigned state_bits = 2;
  static constexpr std::uint64_t state_mask = 3, is_pending = 1, is_durable = 2, is_failed = 3;

  const std::size_t mask_;
  const std::unique_ptr<std::atomic<std::uint64_t>[]> slots_; ///< number and state; 0: none yet
  std::atomic<std::uint64_t> last_failed_{0};
  std::uint64_t next_ = 1;
};

} // namespace warp::cluster
