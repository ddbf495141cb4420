#pragma once

#include "storage/engine.hpp"

#include <stop_token>
#include <thread>
#include <vector>

namespace warp::storage {

/// Drives the log streams of an engine, one plain thread each, until destroyed: for tools, tests
/// and benchmarks. (A universe has supervised actors for it.) Destroy it before engine::close().
class stream_threads {
public:
  explicit stream_threads(engine& e) {
    for (std::uint32_t stream = 0; stream < e.stream_count(); ++stream)
      threads_.emplace_back([&e, stream](std::stop_token stop) {
        std::stop_callback wake{stop, [&e, stream] { e.interrupt_stream(stream); }};
        while (!stop.stop_requested()) e.run_stream(stream, std::chrono::seconds{10});
      });
  }

private:
  std::vector<std::jthread> threads_;
};

} // namespace warp::storage
