#pragma once

#include "storage/log_buffer.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

namespace warp::storage {

/// What a log stream is able to do.
enum class stream_condition : std::uint8_t { writing, no_space, failed, closed };

/// Where the shards of a stream and its one writer meet: which shards have something to write, how
/// much, how urgent it is, and when a round is over. Shared by both sides, outlives either.
/// Lock-free but for the sleeping.
class stream_gate {
public:
  /// `log_full`: while it is true there is no room.
  stream_gate(std::uint32_t shards, std::uint64_t buffer_bytes, std::uint64_t round_bytes,
              std::shared_ptr<const std::atomic<bool>> log_full);

  [[nodiscard]] chunk_pool& pool() noexcept { return pool_; }

  // -- the shards
  // ---------------------------------------------------------------------------------------------------

  /// Shard number `index` of the stream has something to write; wakes an idle writer.
  void mark_dirty(std::uint32_t index) noexcept;
  /// More bytes wait; wakes the writer when it is time for a round.
  void add_bytes(std::uint64_t bytes) noexcept;
  /// Somebody waits for a round: wakes the writer.
  void request_round() noexcept;

  [[nodiscard]] stream_condition condition() const noexcept {
    return condition_.load(std::memory_order_acquire);
  }
  [[nodiscard]] bool has_room() const noexcept {
    return buffered_.load(std::memory_order_relaxed) < buffer_bytes_ &&
           !log_full_->load(std::memory_order_acquire);
  }
  [[nodiscard]] std::uint64_t buffered_bytes() const noexcept {
    return buffered_.load(std::memory_order_relaxed);
  }

  /// Counts rounds (and failures, and what else may end a wait).
  [[nodiscard]] std::uint32_t round() const noexcept {
    return round_.load(std::memory_order_acquire);
  }
  /// Blocks until round() is no longer `seen`; false when the deadline has passed.
  bool wait_round(std::uint32_t seen,
                  std::chrono::steady_clock::time_point deadline) const noexcept;

  // -- the writer
  // ---------------------------------------------------------------------------------------------------

  /// Blocks until there is something urgent (true), or `until`, or, with `any_work`, until any
  /// shard is dirty.
  bool wait_urgent(std::chrono::steady_clock::time_point until, bool any_work) noexcept;
  [[nodiscard]] bool urgent() const noexcept {
    return urgent_.load(std::memory_order_seq_cst) != 0;
  }
  [[nodiscard]] bool any_dirty() const noexcept;
  /// Before shards are taken: requests from now on ask for the next round.
  void begin_round() noexcept { urgent_.store(0, std::memory_order_seq_cst); }
  /// Clears and returns 64 shards' marks: those of index 64 * word on.
  [[nodiscard]] std::uint64_t take_dirty(std::size_t word) noexcept {
    return dirty_[word].exchange(0, std::memory_order_seq_cst);
  }
  [[nodiscard]] std::size_t dirty_words() const noexcept { return dirty_.size(); }
  void remove_bytes(std::uint64_t bytes) noexcept {
    buffered_.fetch_sub(bytes, std::memory_order_relaxed);
  }
  void set_condition(stream_condition c) noexcept {
    condition_.store(c, std::memory_order_release);
  }
  /// Wakes all who wait for a round.
  void end_round() noexcept;

private:
  void wake() noexcept;

  static constexpr std::uint32_t awake = 0, asleep_for_any = 1, asleep_for_urgent = 2;

  const std::uint64_t buffer_bytes_, round_bytes_;
  const std::shared_ptr<const std::atomic<bool>> log_full_;
  chunk_pool pool_;
  std::vector<std::atomic<std::uint64_t>> dirty_;
  alignas(64) std::atomic<std::uint64_t> buffered_{0};
  alignas(64) std::atomic<std::uint32_t> sleep_{awake};
  std::atomic<std::uint32_t> urgent_{0};
  std::atomic<stream_condition> condition_{stream_condition::writing};
  alignas(64) std::atomic<std::uint32_t> round_{0};
  mutable std::atomic<std::uint32_t> waiters_{0};
};

} // namespace warp::storage
