#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <mutex>
#include <thread>

namespace warp::cluster {

/// Lets one I/O thread work while all others of a server stand still: for what could not be done
/// among them. Being inside costs a thread one store of its own cache line a turn.
class resp_gate {
public:
  explicit resp_gate(std::size_t threads)
      : inside_(std::make_unique<slot[]>(threads)), threads_(threads) {}

  /// Around everything that touches the engine, by I/O thread `number`. Waits while somebody is
  /// alone.
  void enter(std::size_t number) noexcept {
    auto& mine = inside_[number].value;
    for (;;) {
      mine.store(true, std::memory_order_seq_cst);
      if (!closed_.load(std::memory_order_seq_cst)) [[likely]]
        return;
      mine.store(false, std::memory_order_seq_cst);
      closed_.wait(true);
    }
  }
  void leave(std::size_t number) noexcept {
    inside_[number].value.store(false, std::memory_order_release);
  }

  /// By thread `number`, which is inside: runs `work` when no other one is. What was read before it
  /// may have changed when it begins. Within `work` it may be called again.
  template <class Work>
  void alone(std::size_t number, Work&& work) {
    if (holder_.load(std::memory_order_relaxed) == number) return static_cast<void>(work());
    leave(number); // another one may be waiting for us to be alone itself
    {
      std::lock_guard one{mutex_};
      closed_.store(true, std::memory_order_seq_cst);
      for (std::size_t i = 0; i < threads_; ++i)
        while (inside_[i].value.load(std::memory_order_seq_cst)) std::this_thread::yield();
      holder_.store(number, std::memory_order_relaxed);
      work();
      holder_.store(nobody, std::memory_order_relaxed);
      closed_.store(false, std::memory_order_seq_cst);
      closed_.notify_all();
    }
    enter(number);
  }

private:
  struct alignas(64) slot {
    std::atomic<bool> value{false};
  };
  std::unique_ptr<slot[]> inside_;
  std::size_t threads_;
  static constexpr auto nobody = static_cast<std::size_t>(-1);
  std::atomic<bool> closed_{false};
  std::atomic<std::size_t> holder_{nobody};
  std::mutex mutex_;
};

} // namespace warp::cluster
