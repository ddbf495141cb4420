#pragma once

#include "tests/bench/process_usage.hpp"
#include "tests/bench/stopwatch.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <thread>
#include <vector>

namespace warp::bench {

/// What a timed run of some threads did.
struct timed_run {
  std::uint64_t operations = 0;
  double seconds = 0;
  process_usage used;            ///< by the whole process: what works in the background is in it
  double thread_cpu_seconds = 0; ///< of the threads alone

  [[nodiscard]] double rate_m() const noexcept { ///< millions of operations a second
    return static_cast<double>(operations) / seconds / 1e6;
  }
  [[nodiscard]] double cpu_ns() const noexcept { ///< processor time of an operation
    return used.cpu_seconds * 1e9 / static_cast<double>(operations);
  }
  [[nodiscard]] double background_ns() const noexcept { ///< the share of others in it
    return (used.cpu_seconds - thread_cpu_seconds) * 1e9 / static_cast<double>(operations);
  }
};

/// Calls work(thread), which returns how many operations it did (about a microsecond's worth or
/// more), over and over on `threads` threads for `seconds`. All start together.
template <class Work>
timed_run run_threads(unsigned threads, double seconds, Work&& work) {
  struct alignas(64) counter {
    std::uint64_t done = 0;
    double cpu_seconds = 0;
  };
  std::atomic<unsigned> ready{0};
  std::atomic<bool> go{false}, stop{false};
  std::vector<counter> counters(threads);
  std::vector<std::thread> pool;
  for (unsigned t = 0; t < threads; ++t)
    pool.emplace_back([&, t] {
      ready.fetch_add(1);
      go.wait(false);
      std::uint64_t done = 0;
      while (!stop.load(std::memory_order_relaxed)) done += work(t);
      counters[t] = {done, process_usage::of_thread().cpu_seconds};
    });
  while (ready.load() < threads) std::this_thread::yield();
  const auto before = process_usage::now();
  const auto begin = std::chrono::steady_clock::now();
  go = true;
  go.notify_all();
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  stop = true;
  for (auto& t : pool) t.join();
  timed_run out{.seconds = seconds_since(begin), .used = process_usage::now() - before};
  for (const auto& c : counters) {
    out.operations += c.done;
    out.thread_cpu_seconds += c.cpu_seconds;
  }
  return out;
}

} // namespace warp::bench
