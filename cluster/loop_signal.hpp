#pragma once

#include <atomic>
#include <kj/async-unix.h>
#include <kj/io.h>

namespace warp::cluster {

/// Wakes a KJ event loop from other threads. Calls of raise() that come before the loop has looked
/// are one wake-up.
class loop_signal {
public:
  /// On the loop's thread. Throws kj::Exception when the process has no descriptor left.
  explicit loop_signal(kj::UnixEventPort& port);

  /// Any thread; never blocks. What happened before it is seen by whoever wait() wakes.
  void raise() noexcept;
  /// The loop's thread, one call at a time: resolves at the first raise() since the last call
  /// resolved.
  kj::Promise<void> wait();

private:
  bool take();

  std::atomic<bool> raised_{false};
  kj::AutoCloseFd fd_;
  kj::UnixEventPort::FdObserver observer_;
};

} // namespace warp::cluster
