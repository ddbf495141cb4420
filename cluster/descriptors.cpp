#include "cluster/descriptors.hpp"

#include <algorithm>
#include <sys/resource.h>

namespace warp::cluster {

namespace {

/// Segments of a few log streams and those that are made ready, checkpoints of all threads that
/// write some, a backup, and the ports.
constexpr std::size_t reserved_max = 256;

} // namespace

std::size_t reserved_descriptors(std::size_t limit) noexcept {
  return std::min(reserved_max, limit / 4);
}

bool may_keep_connection(int descriptor) noexcept {
  rlimit now{};
  if (::getrlimit(RLIMIT_NOFILE, &now) != 0) return true;
  return static_cast<std::size_t>(descriptor) < now.rlim_cur - reserved_descriptors(now.rlim_cur);
}

std::size_t raise_descriptor_limit() noexcept {
  rlimit now{};
  if (::getrlimit(RLIMIT_NOFILE, &now) != 0) return 0;
  const rlimit raised{.rlim_cur = now.rlim_max, .rlim_max = now.rlim_max};
  if (::setrlimit(RLIMIT_NOFILE, &raised) == 0) now = raised;
  return now.rlim_cur;
}

} // namespace warp::cluster
