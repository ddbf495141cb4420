#include "storage/memory_budget.hpp"

#include <algorithm>
#include <fstream>
#include <string>
#include <unistd.h>

namespace warp::storage {

namespace {

/// A number in a file of the kernel's; "max" and what is not there are no limit.
std::uint64_t limit_in(const std::string& path) {
  std::ifstream in{path};
  std::uint64_t bytes = 0;
  return in >> bytes ? bytes : ~std::uint64_t{0};
}

/// Of the process's cgroup (version 2) and of those above it.
std::uint64_t cgroup_limit() {
  auto least = limit_in("/sys/fs/cgroup/memory/memory.limit_in_bytes"); // version 1
  std::ifstream in{"/proc/self/cgroup"};
  std::string line;
  while (std::getline(in, line)) {
    if (!line.starts_with("0::")) continue;
    for (auto path = line.substr(3); !path.empty(); path.erase(path.rfind('/')))
      least = std::min(least, limit_in("/sys/fs/cgroup" + path + "/memory.max"));
  }
  return std::min(least, limit_in("/sys/fs/cgroup/memory.max"));
}

} // namespace

void memory_budget::set_limit(std::uint64_t bytes, std::uint32_t shards) noexcept {
  limit_ = bytes;
  block_ = std::clamp<std::uint64_t>(bytes / shards / 64, 16 * 1024, 1024 * 1024);
}

bool memory_budget::try_take(std::uint64_t bytes) noexcept {
  auto taken = taken_.load(std::memory_order_relaxed);
  do
    if (taken > limit_ || bytes > limit_ - taken) return false;
  while (!taken_.compare_exchange_weak(taken, taken + bytes, std::memory_order_relaxed));
  return true;
}

std::uint64_t default_memory_limit() {
  const auto machine = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) *
                       static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  return std::min(machine, cgroup_limit()) / 5 * 4;
}

} // namespace warp::storage
