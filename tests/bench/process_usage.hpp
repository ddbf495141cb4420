#pragma once

#include <cstdint>
#include <sys/resource.h>

namespace warp::bench {

/// What this process, all threads together, has used since it started; differences are what
/// counts.
class process_usage {
public:
  double cpu_seconds = 0;        ///< user and system
  std::int64_t involuntary = 0;  ///< context switches: a thread lost its processor
  std::int64_t voluntary = 0;    ///< context switches: a thread waited
  std::int64_t major_faults = 0; ///< pages read from disk

  static process_usage now() noexcept { return of(RUSAGE_SELF); }
  /// Of the calling thread alone.
  static process_usage of_thread() noexcept { return of(RUSAGE_THREAD); }

  process_usage operator-(const process_usage& before) const noexcept {
    return {cpu_seconds - before.cpu_seconds, involuntary - before.involuntary,
            voluntary - before.voluntary, major_faults - before.major_faults};
  }

private:
  static process_usage of(int whom) noexcept {
    rusage u{};
    ::getrusage(whom, &u);
    const auto seconds = [](const timeval& t) {
      return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
    };
    return {seconds(u.ru_utime) + seconds(u.ru_stime), u.ru_nivcsw, u.ru_nvcsw, u.ru_majflt};
  }
};

} // namespace warp::bench
