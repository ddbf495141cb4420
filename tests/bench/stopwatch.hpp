#pragma once

#include <chrono>
#include <cstdint>
#include <thread>
#if defined(__x86_64__)
#include <x86intrin.h>
#endif

namespace warp::bench {

/// Seconds since `begin`.
inline double seconds_since(std::chrono::steady_clock::time_point begin) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

/// A clock for single operations: the processor's time stamp counter on x86 (about 10 ns a reading
/// on a virtual machine), the steady clock elsewhere. Ticks are turned into nanoseconds with the
/// rate that the constructor measures within 50 ms.
class stopwatch {
public:
  stopwatch() {
    const auto begin = std::chrono::steady_clock::now();
    const auto first = ticks();
    std::this_thread::sleep_for(std::chrono::milliseconds{50});
    const auto last = ticks();
    ns_per_tick_ = seconds_since(begin) * 1e9 / static_cast<double>(last - first);
    constexpr int readings = 100'000;
    const auto from = std::chrono::steady_clock::now();
    for (int i = 0; i < readings; ++i) static_cast<void>(ticks());
    reading_ns_ = seconds_since(from) * 1e9 / readings;
  }

  static std::uint64_t ticks() noexcept {
#if defined(__x86_64__)
    unsigned processor = 0;
    return __rdtscp(&processor); // waits for what comes before it
#else
    return static_cast<std::uint64_t>(std::chrono::steady_clock::now().time_since_epoch().count());
#endif
  }
  [[nodiscard]] double ns(std::uint64_t ticks) const noexcept {
    return static_cast<double>(ticks) * ns_per_tick_;
  }
  /// What one reading costs, ns: every measured operation has one in it.
  [[nodiscard]] double reading_ns() const noexcept {
    return reading_ns_;
  }

private:
  double ns_per_tick_ = 0, reading_ns_ = 0;
};

} // namespace warp::bench
