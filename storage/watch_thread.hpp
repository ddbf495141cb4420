#pragma once

#include "storage/engine.hpp"

#include <stop_token>
#include <thread>

namespace warp::storage {

/// Drives the watches of an engine on a plain thread, until destroyed: for tools, tests and
/// benchmarks. (A universe has a supervised actor for it.)
class watch_thread {
public:
  explicit watch_thread(engine& e)
      : thread_([&e](std::stop_token stop) {
          std::stop_callback wake{stop, [&e] { e.interrupt_watches(); }};
          while (!stop.stop_requested()) e.run_watches(std::chrono::seconds{10});
        }) {}

private:
  std::jthread thread_;
};

} // namespace warp::storage
