#include "storage/stream_gate.hpp"

#include "storage/futex.hpp"

#include <utility>

namespace warp::storage {

stream_gate::stream_gate(std::uint32_t shards, std::uint64_t buffer_bytes,
                         std::uint64_t round_bytes,
                         std::shared_ptr<const std::atomic<bool>> log_full)
    : buffer_bytes_(buffer_bytes), round_bytes_(round_bytes), log_full_(std::move(log_full)),
      dirty_((shards + 63) / 64) {}

// Two sides that may miss each other: a shard sets its mark and then looks whether the writer
// sleeps; the writer says that it sleeps and then looks for marks. Both do so in sequentially
// consistent order, so at least one sees the other.

void stream_gate::mark_dirty(std::uint32_t index) noexcept {
  dirty_[index / 64].fetch_or(std::uint64_t{1} << (index % 64), std::memory_order_seq_cst);
  if (sleep_.load(std::memory_order_seq_cst) == asleep_for_any) wake();
}

void stream_gate::add_bytes(std::uint64_t bytes) noexcept {
  const auto before = buffered_.fetch_add(bytes, std::memory_order_relaxed);
  if (before < round_bytes_ && before + bytes >= round_bytes_) request_round();
}

void stream_gate::request_round() noexcept {
  if (urgent_.load(std::memory_order_seq_cst) == 0) urgent_.store(1, std::memory_order_seq_cst);
  if (sleep_.load(std::memory_order_seq_cst) != awake) wake();
}

void stream_gate::wake() noexcept {
  if (sleep_.exchange(awake, std::memory_order_seq_cst) != awake) futex_wake(sleep_);
}

bool stream_gate::any_dirty() const noexcept {
  for (const auto& word : dirty_)
    if (word.load(std::memory_order_seq_cst) != 0) return true;
  return false;
}

bool stream_gate::wait_urgent(std::chrono::steady_clock::time_point until, bool any_work) noexcept {
  const auto how = any_work ? asleep_for_any : asleep_for_urgent;
  sleep_.store(how, std::memory_order_seq_cst);
  if (!urgent() && !(any_work && any_dirty()))
    while (sleep_.load(std::memory_order_seq_cst) == how && futex_wait(sleep_, how, until)) {
    }
  sleep_.store(awake, std::memory_order_seq_cst);
  return urgent();
}

bool stream_gate::wait_round(std::uint32_t seen,
                             std::chrono::steady_clock::time_point deadline) const noexcept {
  waiters_.fetch_add(1, std::memory_order_seq_cst);
  bool in_time = true;
  while (in_time && round_.load(std::memory_order_seq_cst) == seen)
    in_time = futex_wait(round_, seen, deadline);
  waiters_.fetch_sub(1, std::memory_order_relaxed);
  return in_time || round() != seen;
}

void stream_gate::end_round() noexcept {
  round_.fetch_add(1, std::memory_order_seq_cst);
  if (waiters_.load(std::memory_order_seq_cst) != 0) futex_wake(round_);
}

} // namespace warp::storage
