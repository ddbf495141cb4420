#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <kj/async.h>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace warp::cluster {

/// A thread that does one blocking job after the other for event loops.
class job_thread {
public:
  /// `name`: at most 15 characters.
  explicit job_thread(std::string name);
  /// As stop().
  ~job_thread();
  job_thread(const job_thread&) = delete;
  job_thread& operator=(const job_thread&) = delete;

  /// Called on an event loop; its promise resolves there with what `job` returned on this thread,
  /// as a kj::Own. Fails when the job throws and when stop() came first. Dropping the promise does
  /// not end a job that has begun.
  template <class Job>
  auto run(Job job) -> kj::Promise<kj::Own<decltype(job())>> {
    using result = kj::Own<decltype(job())>;
    auto paf = kj::newPromiseAndCrossThreadFulfiller<result>();
    auto fulfiller =
        std::make_shared<kj::Own<kj::CrossThreadPromiseFulfiller<result>>>(kj::mv(paf.fulfiller));
    post([job = std::move(job), fulfiller]() mutable {
      KJ_IF_MAYBE (e, kj::runCatchingExceptions(
                          [&] { (*fulfiller)->fulfill(kj::heap<decltype(job())>(job())); })) {
        (*fulfiller)->reject(kj::mv(*e));
      }
    });
    return kj::mv(paf.promise);
  }

  /// Waits for the job under way and drops the others. Any thread but its own.
  void stop();

private:
  void post(std::function<void()> job);
  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;
  bool stopping_ = false;
  std::thread thread_;
};

} // namespace warp::cluster
