#pragma once

#include <atomic>
#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <thread>
#include <type_traits>
#include <vector>

namespace warp::gpu {

/// A few threads that share the parts of one piece of work. They are started with the first work
/// that has more than one part, sleep between two pieces, and are never more than asked for; where
/// the system gives fewer, those do it. One caller at a time.
class work_pool {
public:
  /// `threads` in all, the calling one included; at least 1.
  explicit work_pool(unsigned threads) noexcept : threads_(threads == 0 ? 1 : threads) {}
  ~work_pool();
  work_pool(const work_pool&) = delete;
  work_pool& operator=(const work_pool&) = delete;

  [[nodiscard]] unsigned threads() const noexcept { return threads_; }

  /// Calls work(part) for each part in 0 .. parts, on any of the threads and the calling one, in
  /// any order; returns when all are done. `work` must not throw.
  template <class Work>
  void run(std::size_t parts, Work&& work) noexcept {
    using callee = std::remove_reference_t<Work>;
    run(
        parts, [](void* w, std::size_t part) { (*static_cast<callee*>(w))(part); }, &work);
  }

private:
  using call = void (*)(void*, std::size_t);
  void run(std::size_t parts, call work, void* context) noexcept;
  void start() noexcept;
  void serve() noexcept;
  void take_parts(call work, void* context, std::size_t parts) noexcept;

  const unsigned threads_;
  bool started_ = false;
  std::vector<std::thread> pool_;
  std::mutex mutex_;
  std::condition_variable wake_, idle_;
  // Under the mutex:
  std::size_t round_ = 0; ///< of work; a thread takes part in each once
  unsigned busy_ = 0;
  bool stop_ = false;
  call work_ = nullptr;
  void* context_ = nullptr;
  std::size_t parts_ = 0;

  std::atomic<std::size_t> next_{0}; ///< the next part to take
};

} // namespace warp::gpu
