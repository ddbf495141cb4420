#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace warp::storage {

/// Calls work(i) once for each i below n, on up to `threads` threads, the calling one included;
/// returns when all are done. `work` does not throw.
template <class Work>
void parallel_for(std::uint32_t threads, std::size_t n, Work&& work) {
  std::atomic<std::size_t> next{0};
  const auto loop = [&] {
    for (auto i = next.fetch_add(1); i < n; i = next.fetch_add(1)) work(i);
  };
  std::vector<std::jthread> helpers;
  for (std::size_t t = 1; t < std::min<std::size_t>(threads, n); ++t) helpers.emplace_back(loop);
  loop();
}

} // namespace warp::storage
