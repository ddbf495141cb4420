#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <thread>
#include <vector>

namespace warp::storage {

/// Calls work(i) once for each i below n, on up to `threads` threads, the calling one included;
/// returns when all are done; on fewer threads where the system gives no more. `work` does not
/// throw.
template <class Work>
void parallel_for(std::uint32_t threads, std::size_t n, Work&& work) {
  std::atomic<std::size_t> next{0};
  const auto loop = [&] {
    for (auto i = next.fetch_add(1); i < n; i = next.fetch_add(1)) work(i);
  };
  std::vector<std::jthread> helpers;
  try {
    for (std::size_t t = 1; t < std::min<std::size_t>(threads, n); ++t) helpers.emplace_back(loop);
  } catch (const std::exception&) { // no thread, or no memory for one: those that run do it all
  }
  loop();
}

} // namespace warp::storage
