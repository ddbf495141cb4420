#pragma once

#include "cluster/client.hpp"
#include "cluster/log_linear_histogram.hpp"
#include "cluster/programs/bench_keys.hpp"

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

namespace warp::programs {

/// What a load is made of.
struct bench_settings {
  std::size_t clients = 1;   ///< connections, each with a thread
  std::size_t pipeline = 16; ///< requests under way on each
  std::size_t batch = 1;     ///< operations in a request
  unsigned get_percent = 50; ///< the others are puts
  std::uint64_t keys = 100'000;
  std::size_t value_bytes = 100;
  double skew = 0; ///< of the keys: 0 uniform, else zipf, below 1
  durability level = durability::unspecified;
  double rate = 0; ///< operations a second of all clients together; 0: as fast as answers come
};

/// What became of it.
struct bench_result {
  std::uint64_t operations = 0; ///< answered
  std::uint64_t misses = 0;     ///< gets of keys that are not there
  std::uint64_t errors = 0;     ///< answered with any other code but ok
  op_status first_error;
  std::uint64_t late =
      0; ///< at a given rate: operations that were due and not even sent at the end
  cluster::log_linear_histogram latency; ///< ns, of each request

  void add(const bench_result& other);
};

/// One client of a load: keeps its requests under way by itself, from the client's thread, until
/// the time is over. At a given rate a request counts from the moment at which it was due, whether
/// or not it could be sent then: a server that stalls shows in the latency of all that it held up
/// (no "coordinated omission").
class bench_client {
public:
  using clock = std::chrono::steady_clock;

  /// Borrows the settings, keys and values, which live longer. `values`: any bytes, at least twice
  /// a value's.
  bench_client(std::unique_ptr<client> c, const bench_settings& settings, const key_chooser& keys,
               const std::string& values, std::uint64_t seed);

  /// Begins. At a given rate the requests of this client are due every `clients * batch / rate`
  /// seconds from `first` on.
  void start(clock::time_point first, clock::time_point end);
  /// At a given rate: sends what is due; returns when the next request is. Called by one thread.
  clock::time_point pace();
  /// Ends it now; requests under way are still answered.
  void stop() { end_now_.store(true, std::memory_order_relaxed); }
  /// Waits for the requests under way and returns the result.
  bench_result finish();

  /// Operations answered and errors so far; any thread.
  [[nodiscard]] std::uint64_t operations() const noexcept { return operations_.load(); }
  [[nodiscard]] std::uint64_t errors() const noexcept { return errors_.load(); }
  [[nodiscard]] client& connection() noexcept { return *client_; }

private:
  [[nodiscard]] bool over(clock::time_point now) const {
    return now >= end_ || end_now_.load(std::memory_order_relaxed);
  }
  void send_due(clock::time_point now);
  void send(clock::time_point counts_from);
  void take(const std::vector<client_reply>& replies, clock::time_point counts_from);

  const bench_settings& settings_;
  const key_chooser& keys_;
  const std::string& values_;
  clock::time_point first_, end_;
  clock::duration interval_{0};
  std::atomic<bool> end_now_{false};
  std::atomic<std::uint64_t> operations_{0}, errors_{0};

  std::mutex mutex_; // guards what follows: the pacer and the client's thread send
  std::condition_variable idle_;
  fast_random random_;
  std::uint64_t due_ =
      0; // requests sent at a given rate: the next one is due at first_ + due_ * interval_
  std::size_t under_way_ = 0;
  bench_result result_;

  std::unique_ptr<client> client_; // last: its thread uses all of the above
};

} // namespace warp::programs
