#pragma once

#include "cluster/loop_signal.hpp"

#include <functional>
#include <kj/async-io.h>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace warp::cluster {

/// A thread that runs a KJ event loop. What lives on the loop is built and destroyed by `main`, on
/// that thread.
class kj_loop {
public:
  /// Runs on the loop's thread once; the loop ends when its promise resolves or fails. What `main`
  /// builds must be attached to that promise, or be gone when it resolves.
  using main_function = std::function<kj::Promise<void>(kj_loop& loop)>;

  /// Starts the thread. `name`: at most 15 characters, for debuggers.
  kj_loop(std::string name, main_function main);
  /// Joins.
  ~kj_loop();
  kj_loop(const kj_loop&) = delete;
  kj_loop& operator=(const kj_loop&) = delete;

  /// Any thread: runs `work` on the loop, in the order of the calls. It must not throw. After the
  /// end of the loop it is dropped; what it captured is destroyed by the loop's thread or by the
  /// destructor.
  void post(std::function<void()> work);
  /// Any thread but the loop's own: runs `work` on the loop, which must be running, and waits for
  /// it.
  void call(std::function<void()> work);
  /// Waits for the end of the loop; somebody must have made main's promise resolve. Not from the
  /// loop itself.
  void join();
  [[nodiscard]] bool on_loop() const noexcept {
    return std::this_thread::get_id() == thread_.get_id();
  }

  // -- on the loop's thread, while main's promise is pending ------------------------------------

  [[nodiscard]] kj::AsyncIoContext& io() noexcept { return *io_; }
  [[nodiscard]] kj::Timer& timer() noexcept { return io_->provider->getTimer(); }

private:
  void run();
  kj::Promise<void> run_posted();

  std::string name_;
  main_function main_;
  kj::AsyncIoContext* io_ = nullptr;
  std::mutex mutex_; // guards posted_ and signal_
  std::vector<std::function<void()>> posted_;
  loop_signal* signal_ = nullptr; // null before the loop runs and after it has ended
  bool ended_ = false;
  std::thread thread_; // last: runs on all of the above
};

} // namespace warp::cluster
