#pragma once

#include "messages/status.hpp"

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <thread>

namespace warp::cluster::links {

class link_listener;
class link_stream;

/// A thread that waits for many links at once, and lets each read, or write on, when there is
/// something to. Everything but start() and stop() may be called by any thread.
class link_loop {
public:
  /// unavailable: the system gives no thread or no descriptor.
  static op_result<std::shared_ptr<link_loop>> start(link_listener& listener);
  /// Nothing is called any more when it returns, and streams are no longer kept. Not on its own
  /// thread, and before the last reference goes.
  void stop();
  /// The listener has a turn soon, if there are messages or not.
  void wake() noexcept;
  ~link_loop();
  link_loop(const link_loop&) = delete;
  link_loop& operator=(const link_loop&) = delete;

  /// Nothing once it was stopped.
  void add(std::shared_ptr<link_stream> stream);
  /// Nothing where it is not in the loop.
  void remove(const link_stream& stream);
  /// Whether it wants to hear of room to write.
  void want_write(const link_stream& stream, bool wanted);

private:
  link_loop(link_listener& listener, int poll, int wake);
  void run();
  [[nodiscard]] std::shared_ptr<link_stream> find(int fd);

  link_listener& listener_;
  const int poll_, wake_;
  std::atomic<bool> stops_{false};
  std::mutex mutex_;
  /// By descriptor: a stream keeps its own until it is gone, and is not gone while it is here.
  std::map<int, std::shared_ptr<link_stream>> streams_;
  std::thread thread_;
};

} // namespace warp::cluster::links
