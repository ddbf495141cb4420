#include "cluster/job_thread.hpp"

#include <pthread.h>

namespace warp::cluster {

job_thread::job_thread(std::string name)
    : thread_([this, name = std::move(name)] {
        ::pthread_setname_np(::pthread_self(), name.c_str());
        work();
      }) {}

job_thread::~job_thread() {
  stop();
}

void job_thread::post(std::function<void()> job) {
  {
    std::lock_guard lock{mutex_};
    if (stopping_) return; // dropping the job fails its promise
    jobs_.push_back(std::move(job));
  }
  changed_.notify_one();
}

void job_thread::stop() {
  std::deque<std::function<void()>> dropped;
  {
    std::lock_guard lock{mutex_};
    stopping_ = true;
    dropped.swap(jobs_);
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void job_thread::work() {
  std::unique_lock lock{mutex_};
  for (;;) {
    changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (stopping_) return;
    auto job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    job = nullptr;
    lock.lock();
  }
}

} // namespace warp::cluster
