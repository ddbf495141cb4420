#include "tests/bench/machine_probes.hpp"

#include "tests/bench/random.hpp"
#include "tests/bench/stopwatch.hpp"
#include "tests/bench/threads.hpp"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <cstring>
#include <memory>
#include <new>
#include <sched.h>
#include <sys/mman.h>
#include <thread>
#include <vector>

namespace warp::bench {

namespace {

void pin_to(unsigned processor) noexcept {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(processor, &set);
  static_cast<void>(
      ::sched_setaffinity(0, sizeof set, &set)); // a hint: it measures without as well
}

/// Memory of its own mapping, touched.
class pages {
public:
  pages(std::size_t bytes, bool huge) : bytes_(bytes) {
    void* at = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) throw std::bad_alloc{};
    static_cast<void>(::madvise(at, bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE));
    std::memset(at, 1, bytes);
    data_ = static_cast<char*>(at);
  }
  ~pages() { ::munmap(data_, bytes_); }
  pages(const pages&) = delete;
  pages& operator=(const pages&) = delete;
  [[nodiscard]] char* data() const noexcept { return data_; }

private:
  char* data_;
  std::size_t bytes_;
};

constexpr std::size_t line_bytes = 64;

void keep(std::uint64_t value) noexcept {
  asm volatile("" : : "r"(value));
}

} // namespace

double dependent_read_ns(std::size_t bytes, bool huge_pages, double seconds) {
  const auto lines = std::bit_floor(bytes / line_bytes);
  const pages memory{lines * line_bytes, huge_pages};
  // One cycle through all lines: a linear congruential generator of full period.
  for (std::uint64_t i = 0; i < lines; ++i) {
    const std::uint64_t next = (i * 1'664'525 + 1'013'904'223) & (lines - 1);
    std::memcpy(memory.data() + i * line_bytes, &next, sizeof next);
  }
  std::uint64_t at = 0;
  const auto run = run_threads(1, seconds, [&](unsigned) {
    pin_to(0);
    for (int i = 0; i < 4'096; ++i) std::memcpy(&at, memory.data() + at * line_bytes, sizeof at);
    return 4'096;
  });
  keep(at);
  return 1e3 / run.rate_m();
}

double independent_reads_m(std::size_t bytes, unsigned threads, double seconds) {
  const auto lines = bytes / line_bytes;
  const pages memory{lines * line_bytes, false};
  return run_threads(threads, seconds,
                     [&](unsigned t) {
                       pin_to(t);
                       thread_local fast_random random{t + 1};
                       std::uint64_t sum = 0;
                       for (int i = 0; i < 4'096; ++i)
                         sum += static_cast<unsigned char>(
                             memory.data()[random.below(lines) * line_bytes]);
                       keep(sum);
                       return 4'096;
                     })
      .rate_m();
}

double first_touch_s(std::size_t bytes, bool huge_pages) {
  const auto begin = std::chrono::steady_clock::now();
  const pages memory{bytes, huge_pages};
  return seconds_since(begin);
}

double copy_gb(std::size_t bytes, unsigned threads, double seconds) {
  std::vector<std::unique_ptr<pages>> from, to;
  for (unsigned t = 0; t < threads; ++t) {
    from.push_back(std::make_unique<pages>(bytes / threads, false));
    to.push_back(std::make_unique<pages>(bytes / threads, false));
  }
  constexpr std::size_t part = 1 << 20;
  std::vector<std::size_t> at(threads * 8);
  return run_threads(threads, seconds,
                     [&](unsigned t) {
                       pin_to(t);
                       auto& offset = at[t * 8];
                       if (offset + part > bytes / threads) offset = 0;
                       std::memcpy(to[t]->data() + offset, from[t]->data() + offset, part);
                       offset += part;
                       return part;
                     })
             .rate_m() /
         1e3;
}

double own_increment_ns(double seconds) {
  return shared_increment_ns(1, seconds);
}

double shared_increment_ns(unsigned threads, double seconds) {
  alignas(128) std::atomic<std::uint64_t> counter{0};
  const auto run = run_threads(threads, seconds, [&](unsigned t) {
    pin_to(t);
    for (int i = 0; i < 1'024; ++i) counter.fetch_add(1, std::memory_order_relaxed);
    return 1'024;
  });
  return 1e3 / run.rate_m();
}

double line_transfer_ns(double seconds) {
  if (std::thread::hardware_concurrency() < 2) return 0;
  alignas(128) std::atomic<std::uint64_t> turn{0}; // even: of thread 0, odd: of thread 1
  std::atomic<bool> stop{false};
  std::thread other([&] {
    pin_to(1);
    for (std::uint64_t mine = 1; !stop.load(std::memory_order_relaxed);) {
      if (turn.load(std::memory_order_acquire) != mine) continue;
      turn.store(mine + 1, std::memory_order_release);
      mine += 2;
    }
  });
  std::uint64_t mine = 0;
  std::vector<double> parts; // short ones: while either thread has no processor, none is measured
  run_threads(1, seconds, [&](unsigned) {
    pin_to(0);
    const auto begin = std::chrono::steady_clock::now();
    for (int i = 0; i < 256; ++i, mine += 2) {
      turn.store(mine + 1, std::memory_order_release);
      while (turn.load(std::memory_order_acquire) != mine + 2) {
      }
    }
    parts.push_back(seconds_since(begin) * 1e9 / 512); // there and back
    return 512;
  });
  stop = true;
  other.join();
  std::nth_element(parts.begin(), parts.begin() + static_cast<std::ptrdiff_t>(parts.size() / 4),
                   parts.end());
  return parts[parts.size() / 4];
}

} // namespace warp::bench
