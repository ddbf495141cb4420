#include "storage/burial_thread.hpp"

#include <new>
#include <system_error>
#include <utility>

namespace warp::storage {

burial_thread::~burial_thread() {
  {
    std::lock_guard hold{mutex_};
    ends_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

bool burial_thread::take(shard& at, std::unique_ptr<table>& cleared, std::uint64_t bytes) noexcept {
  try {
    std::lock_guard hold{mutex_};
    waiting_.reserve(waiting_.size() + 1);
    if (!thread_.joinable()) thread_ = std::thread{[this] { work(); }};
    pending_keys_.fetch_add(cleared->stats().keys, std::memory_order_relaxed);
    waiting_.push_back({&at, std::move(cleared), bytes});
  } catch (const std::bad_alloc&) {
    return false;
  } catch (const std::system_error&) {
    return false;
  }
  changed_.notify_one();
  return true;
}

void burial_thread::work() {
  std::unique_lock hold{mutex_};
  for (;;) {
    changed_.wait(hold, [this] { return ends_ || !waiting_.empty(); });
    if (waiting_.empty()) return;
    auto now = std::exchange(waiting_, {});
    hold.unlock();
    for (auto& b : now) {
      const auto keys = b.cleared->stats().keys;
      b.at->bury(std::move(b.cleared), b.bytes);
      pending_keys_.fetch_sub(keys, std::memory_order_relaxed);
    }
    hold.lock();
  }
}

} // namespace warp::storage
