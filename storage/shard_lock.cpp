#include "storage/shard_lock.hpp"

namespace warp::storage {

void shard_lock::lock_slow() noexcept {
  // A holder is done within a microsecond unless it lost its processor; more spinning than this
  // only burns the core it waits for.
  for (int spin = 0; spin < 64; ++spin) {
    if (state_.load(std::memory_order_relaxed) == free_ && try_lock()) {
      ++waits_;
      return;
    }
#if defined(__x86_64__)
    __builtin_ia32_pause();
#endif
  }
  while (state_.exchange(waited_for_, std::memory_order_acquire) != free_)
    state_.wait(waited_for_, std::memory_order_relaxed);
  ++waits_;
}

} // namespace warp::storage
