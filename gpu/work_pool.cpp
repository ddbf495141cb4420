#include "gpu/work_pool.hpp"

#include <exception>

namespace warp::gpu {

work_pool::~work_pool() {
  {
    const std::lock_guard lock{mutex_};
    stop_ = true;
  }
  wake_.notify_all();
  for (auto& t : pool_) t.join();
}

void work_pool::start() noexcept {
  started_ = true;
  try {
    pool_.reserve(threads_ - 1);
    for (unsigned i = 1; i < threads_; ++i) pool_.emplace_back([this] { serve(); });
  } catch (const std::exception&) {
    // Those that are there do the work; with none it is the calling thread.
  }
}

void work_pool::take_parts(call work, void* context, std::size_t parts) noexcept {
  for (std::size_t part; (part = next_.fetch_add(1, std::memory_order_relaxed)) < parts;)
    work(context, part);
}

void work_pool::serve() noexcept {
  std::unique_lock lock{mutex_};
  for (std::size_t seen = 0;;) {
    wake_.wait(lock, [&] { return stop_ || round_ != seen; });
    if (stop_) return;
    seen = round_;
    if (parts_ == 0) continue; // woke up after the round was over
    ++busy_;
    const auto work = work_;
    auto* const context = context_;
    const auto parts = parts_;
    lock.unlock();
    take_parts(work, context, parts);
    lock.lock();
    if (--busy_ == 0) idle_.notify_one();
  }
}

void work_pool::run(std::size_t parts, call work, void* context) noexcept {
  if (threads_ == 1 || parts < 2) {
    for (std::size_t part = 0; part < parts; ++part) work(context, part);
    return;
  }
  if (!started_) start();
  {
    const std::lock_guard lock{mutex_};
    next_.store(0, std::memory_order_relaxed);
    work_ = work;
    context_ = context;
    parts_ = parts;
    ++round_;
  }
  wake_.notify_all();
  take_parts(work, context, parts);
  // All parts are taken; who took one has it done when it is not busy any more.
  std::unique_lock lock{mutex_};
  parts_ = 0;
  idle_.wait(lock, [&] { return busy_ == 0; });
}

} // namespace warp::gpu
