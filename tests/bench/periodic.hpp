#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <stop_token>
#include <thread>

namespace warp::bench {

/// Calls `work` every `interval` on a thread of its own until destroyed, and once more then.
class periodic {
public:
  periodic(std::chrono::milliseconds interval, std::function<void()> work)
      : thread_([interval, work = std::move(work)](std::stop_token stop) {
          std::mutex mutex;
          std::condition_variable_any wake;
          std::unique_lock lock{mutex};
          while (!stop.stop_requested()) {
            wake.wait_for(lock, stop, interval, [] { return false; });
            work();
          }
        }) {}

private:
  std::jthread thread_;
};

} // namespace warp::bench
