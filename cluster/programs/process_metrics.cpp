#include "cluster/programs/process_metrics.hpp"

#include <ctime>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <iterator>
#include <unistd.h>

namespace warp::programs {

namespace {

/// Entries of a folder that may change meanwhile.
std::size_t entries_in(const char* folder) {
  std::error_code gone;
  std::filesystem::directory_iterator at(folder, gone), end;
  std::size_t count = 0;
  for (; !gone && at != end; at.increment(gone)) ++count;
  return count;
}

} // namespace

std::string process_metrics() {
  timespec cpu{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
  std::size_t pages_all = 0, pages = 0;
  std::ifstream("/proc/self/statm") >> pages_all >> pages;
  std::string text;
  const auto add = [&](std::string_view name, std::string_view type, std::string_view help,
                       auto value) {
    fmt::format_to(std::back_inserter(text), "# HELP {0} {1}\n# TYPE {0} {2}\n{0} {3}\n", name,
                   help, type, value);
  };
  add("warp_process_cpu_seconds_total", "counter",
      "Processor time of the process, user and system.",
      static_cast<double>(cpu.tv_sec) + static_cast<double>(cpu.tv_nsec) / 1e9);
  add("warp_process_resident_memory_bytes", "gauge", "Memory of the process that is resident.",
      pages * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE)));
  add("warp_process_open_descriptors", "gauge", "Descriptors that the process has open.",
      entries_in("/proc/self/fd"));
  add("warp_process_threads", "gauge", "Threads of the process.", entries_in("/proc/self/task"));
  return text;
}

} // namespace warp::programs
