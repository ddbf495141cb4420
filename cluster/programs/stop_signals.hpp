#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

namespace warp::programs {

/// Turns SIGTERM and SIGINT into events, on a thread of its own, so that no code of ours
/// runs inside a signal handler. Make it before any other thread: the signals are blocked here and
/// in all threads that are started later.
///
/// - First signal: wait() returns. Before expect_stop() was called (the server is still starting)
///   the process ends at once with 0.
/// - Second signal: `hurry` is called, and the process ends with 1 a second later if it is still
///   there.
class stop_signals {
public:
  stop_signals();
  /// Ends the thread.
  ~stop_signals();
  stop_signals(const stop_signals&) = delete;
  stop_signals& operator=(const stop_signals&) = delete;

  /// From now on the first signal is handed to wait(). `hurry`: called on the signal thread at the
  /// second one, never after stopped() has returned; must not block.
  void expect_stop(std::function<void()> hurry);
  void stopped();
  /// Blocks until the first signal (its name) or failed() (nothing: the cause is what failed() was
  /// given).
  std::optional<std::string> wait();
  /// A stop that is as good as the first signal, asked for by somebody else; any thread. `name`
  /// stands for the signal's.
  void asked(std::string name);
  /// Something else ends the process; any thread.
  void failed(std::string cause);
  [[nodiscard]] std::string cause() const;
  /// The stop has begun: if the process is still there after `bound`, it ends with 1.
  void limit_stop(std::chrono::milliseconds bound);

private:
  void watch();
  void take(int signal);

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  bool expecting_ = false, over_ = false;
  std::string first_signal_, cause_;
  std::function<void()> hurry_;
  std::optional<std::chrono::steady_clock::time_point> end_at_;
  int wake_fd_ = -1, signal_fd_ = -1;
  std::thread thread_;
};

} // namespace warp::programs
