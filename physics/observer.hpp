#pragma once

#include "physics/sample_ring.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <string_view>
#include <utility>

namespace warp::physics {

struct observer_options {
  std::uint32_t windows_one_in = 16;      ///< request windows, >= 1
  std::uint32_t keys_one_in = 100;        ///< keys whose every access is taken; 0: none
  std::uint32_t window_ms = 50;           ///< how long a window of a connection lasts, >= 1
  std::uint32_t window_accesses_max = 64; ///< of a connection: a faster one has more windows
  /// Beyond so many samples a second whole windows, and watched keys, are passed over: what learns
  /// from samples then has a bounded cost, whatever the load. A sample costs its thread half a
  /// microsecond and who learns from it a good one: half a per cent of a core. Who learns from
  /// watched keys should watch fewer (watch_one_in()) before it comes to that: a key that is seen
  /// now and then tells nothing.
  std::uint32_t samples_per_s_max = 3'000;
  std::size_t capacity = 2048; ///< samples that wait to be drained, 128 bytes each
  std::uint64_t seed = 0;      ///< chooses windows
  std::uint64_t source = 0;    ///< another one for each thread: tells their windows apart
};

/// Takes samples of the accesses that one thread makes: all accesses of one request window in 16,
/// as single ones would lose nearly every pair, and every access of one key in 100, as the time
/// between two uses of a key needs both. Beside the data path: about a nanosecond for an access
/// that is not sampled.
///
/// Watched keys are those with the smallest hashes: a hash below 2^64 / keys_one_in. So all threads
/// watch the same ones, who has a hash needs one comparison, and fewer of them are some of those
/// that were watched before.
///
/// A window is what one request asks for (a batch, an MGET, a transaction), or what one connection
/// asks for within window_ms, at most window_accesses_max of it. Who says neither is one
/// connection. The requests to be sampled are drawn one by one, each from the next
/// 2 x windows_one_in - 1, so that the others cost a step of a counter.
///
/// One thread calls begin_request(), begin_stream() and observe(); one other thread may drain().
/// Times are milliseconds since any fixed moment that outlives a restart (unix time does).
///
///     watching.begin_stream(connection, now_ms); // or begin_request(count, now_ms)
///     watching.observe(hash, key, shard, bytes, access_kind::read, now_ms);
///     ...
///     const auto done = watching.drain([&](auto samples) { ... });
class observer {
public:
  explicit observer(const observer_options& options = {});
  observer(const observer&) = delete;
  observer& operator=(const observer&) = delete;

  // -- by the thread that makes the accesses -----------------------------------------------------

  /// What follows belongs to one request of so many accesses, until another beginning.
  void begin_request(std::size_t accesses, std::uint64_t now_ms) noexcept {
    if (!pass_request(accesses)) choose_request(accesses, now_ms);
  }
  /// The same where the request is none of those that may be sampled, which needs no clock. False:
  /// it may be, and nothing was begun.
  bool pass_request(std::size_t accesses) noexcept {
    if (requests_to_pass_ == 0) [[unlikely]]
      return false;
    --requests_to_pass_;
    enter_request(accesses);
    sampled_ = false;
    window_ = 0;
    return true;
  }

  /// What follows belongs to this connection, until another beginning; it may come back.
  void begin_stream(std::uint64_t connection, std::uint64_t now_ms) noexcept {
    if (is_stream_ && connection == connection_ && now_ms < window_ends_ms_) return;
    connection_ = connection;
    is_stream_ = true;
    part_ = 0;
    open_window(now_ms);
  }

  /// An access. `key_hash`: the table's, the same for the same key as long as the process runs.
  /// `bytes` of the value, 0 where there is none. Nothing of the key is kept by reference.
  void observe(std::uint64_t key_hash, std::string_view key, std::uint32_t shard, std::size_t bytes,
               access_kind kind, std::uint64_t now_ms) noexcept {
    if (left_ == 0 || now_ms >= window_ends_ms_) [[unlikely]]
      next_window(now_ms);
    --left_;
    if (wants(key_hash)) [[unlikely]]
      take(key_hash, key, shard, bytes, kind, now_ms);
  }

  /// Within a request, what observe() does in two steps: the first for every access, the second for
  /// those that are wanted.
  [[nodiscard]] bool wants(std::uint64_t key_hash) const noexcept {
    return sampled_ || is_watched(key_hash);
  }
  void take(std::uint64_t key_hash, std::string_view key, std::uint32_t shard, std::size_t bytes,
            access_kind kind, std::uint64_t now_ms) noexcept;

  /// Is the window sampled that the last access, or the last beginning, belonged to?
  [[nodiscard]] bool sampling() const noexcept { return sampled_; }

  /// The access of a watched key that wants() nothing to know of its window: windows stay as they
  /// are.
  void take_alone(std::uint64_t key_hash, std::string_view key, std::uint32_t shard,
                  std::size_t bytes, access_kind kind, std::uint64_t now_ms) noexcept {
    deal(now_ms);
    take(key_hash, key, shard, bytes, kind, now_ms);
  }

  [[nodiscard]] bool is_watched(std::uint64_t key_hash) const noexcept {
    return key_hash < watched_below();
  }
  /// Hashes below it are watched.
  [[nodiscard]] std::uint64_t watched_below() const noexcept {
    return watched_below_.load(std::memory_order_relaxed);
  }
  /// Hashes below what are watched when one key in so many is; 0: none.
  [[nodiscard]] static std::uint64_t watched_below(std::uint32_t keys_one_in) noexcept;

  /// Watches one key in so many from now on; 0: none. Any thread.
  void watch_one_in(std::uint32_t keys) noexcept {
    watched_below_.store(watched_below(keys), std::memory_order_relaxed);
  }

  // -- by the thread that learns -----------------------------------------------------------------

  struct drained {
    std::size_t samples = 0;
    std::uint64_t accesses = 0; ///< since the last time, sampled or not
    std::uint64_t dropped = 0;  ///< samples for which there was no room, since the last time
    std::uint64_t passed = 0;   ///< accesses of watched keys beyond the budget, since the last time
  };
  /// Hands what was sampled to `use(std::span<const access_sample>)`, in the order in which it
  /// came; see sample_ring. Calls learn of up to one window of accesses late.
  template <class Use>
  drained drain(Use&& use) {
    drained out;
    out.samples = ring_.drain(std::forward<Use>(use));
    const auto accesses = accesses_.load(std::memory_order_relaxed);
    const auto dropped = dropped_.load(std::memory_order_relaxed);
    out.accesses = accesses - std::exchange(accesses_drained_, accesses);
    out.dropped = dropped - std::exchange(dropped_drained_, dropped);
    const auto passed = passed_.load(std::memory_order_relaxed);
    out.passed = passed - std::exchange(passed_drained_, passed);
    return out;
  }

private:
  static void add(std::atomic<std::uint64_t>& count, std::uint64_t n) noexcept {
    // There is one writer: no need for an atomic addition.
    count.store(count.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void enter_request(std::size_t accesses) noexcept {
    if (is_stream_) count_accesses();
    add(accesses_, accesses);
    is_stream_ = false;
    left_ = opened_with_ = std::numeric_limits<std::uint32_t>::max();
    window_ends_ms_ = ~std::uint64_t{0};
  }
  void choose_request(std::size_t accesses, std::uint64_t now_ms) noexcept;
  void draw_request() noexcept;
  void next_window(std::uint64_t now_ms) noexcept;
  void open_window(std::uint64_t now_ms) noexcept;
  void count_accesses() noexcept;
  void choose(std::uint64_t id, std::uint64_t now_ms) noexcept;
  void deal(std::uint64_t now_ms) noexcept;

  // What every access looks at
  std::uint32_t left_ = 0, opened_with_ = 0; ///< accesses that the window still takes, and took
  bool sampled_ = false, is_stream_ = true;
  std::uint64_t window_ends_ms_ = 0;
  std::atomic<std::uint64_t> watched_below_;

  observer_options options_;
  std::uint64_t salt_;
  std::uint64_t window_below_; ///< ids of sampled windows of connections
  std::uint64_t slice_budget_; ///< samples
  std::uint64_t connection_ = 0, part_ = 0;
  std::uint64_t draws_ = 0;            ///< of requests to be sampled, so far
  std::uint64_t requests_to_pass_ = 0; ///< before the next of them
  std::uint32_t window_ = 0;
  std::uint64_t slice_ = 0; ///< of time, each with its share of the budget
  std::uint64_t taken_ = 0; ///< samples that no slice has paid for yet
  std::atomic<std::uint64_t> accesses_{0}, dropped_{0}, passed_{0};
  sample_ring ring_;
  // By the thread that learns
  std::uint64_t accesses_drained_ = 0, dropped_drained_ = 0, passed_drained_ = 0;
};

} // namespace warp::physics
