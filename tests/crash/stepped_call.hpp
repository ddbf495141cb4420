#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

namespace warp::testing {

/// A call on a thread of its own that stops at its begin and at gates until it is told to go on, so
/// that what two threads do has one order, the same in every run.
class stepped_call {
public:
  explicit stepped_call(std::function<void()> work)
      : thread_([this, work = std::move(work)] {
          {
            std::lock_guard hold{mutex_};
            id_ = std::this_thread::get_id();
          }
          gate();
          work();
          std::lock_guard hold{mutex_};
          done_ = true;
          changed_.notify_all();
        }) {}

  /// On the call's own thread: waits for go(). On any other: nothing.
  void gate() {
    std::unique_lock lock{mutex_};
    if (std::this_thread::get_id() != id_) return;
    waiting_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !waiting_; });
  }

  /// Until the call stands at a gate (true) or is over (false). Meanwhile `drive` is called again
  /// and again: the call may wait for what it does.
  bool wait(const std::function<void()>& drive) {
    for (;;) {
      {
        std::unique_lock lock{mutex_};
        if (changed_.wait_for(lock, std::chrono::microseconds{50},
                              [this] { return waiting_ || done_; }))
          return !done_;
      }
      drive();
    }
  }
  void go() {
    std::lock_guard hold{mutex_};
    waiting_ = false;
    changed_.notify_all();
  }

private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::thread::id id_;
  bool waiting_ = false, done_ = false;
  std::jthread thread_; ///< last: it uses the others
};

} // namespace warp::testing
