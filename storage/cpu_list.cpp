#include "storage/cpu_list.hpp"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <sched.h>

namespace warp::storage {

namespace {

std::string_view trimmed(std::string_view text) {
  const auto begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

/// -1: not a CPU number.
int parse_cpu(std::string_view text) {
  text = trimmed(text);
  int cpu = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), cpu);
  if (error != std::errc{} || end != text.data() + text.size() || cpu >= CPU_SETSIZE) return -1;
  return cpu;
}

} // namespace

op_result<std::vector<int>> parse_cpu_list(std::string_view text) {
  std::vector<int> cpus;
  if (trimmed(text).empty()) return cpus;
  for (auto rest = text;;) {
    const auto comma = rest.find(',');
    const auto part = rest.substr(0, comma);
    const auto dash = part.find('-');
    const auto first = parse_cpu(part.substr(0, dash));
    const auto last = dash == std::string_view::npos ? first : parse_cpu(part.substr(dash + 1));
    if (first < 0 || last < first)
      return op_status{op_code::invalid_argument,
                       fmt::format("\"{}\" is no list of CPUs: write numbers from 0 to {} and "
                                   "ranges, as in \"2,3\" or \"0-3\"",
                                   text, CPU_SETSIZE - 1)};
    for (int cpu = first; cpu <= last; ++cpu) cpus.push_back(cpu);
    if (comma == std::string_view::npos) break;
    rest.remove_prefix(comma + 1);
  }
  std::sort(cpus.begin(), cpus.end());
  cpus.erase(std::unique(cpus.begin(), cpus.end()), cpus.end());
  return cpus;
}

op_status pin_this_thread(std::span<const int> cpus) {
  if (cpus.empty()) return {};
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int cpu : cpus) CPU_SET(cpu, &set);
  if (::sched_setaffinity(0, sizeof set, &set) != 0)
    return {op_code::invalid_argument,
            fmt::format("cannot run on CPU {}: {}; name CPUs that this process may use (nproc, "
                        "taskset -p)",
                        fmt::join(cpus, ","), std::strerror(errno))};
  return {};
}

} // namespace warp::storage
