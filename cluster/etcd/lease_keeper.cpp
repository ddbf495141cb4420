#include "cluster/etcd/lease_keeper.hpp"

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <pthread.h>
#include <system_error>
#include <thread>

namespace warp::cluster::etcd {

class lease_keeper::worker {
public:
  worker(client& via, lease_options options, listener tell)
      : via_(via), options_(options), tell_(std::move(tell)) {
    thread_ = std::thread{[this] {
      ::pthread_setname_np(::pthread_self(), "etcd-lease");
      run();
    }};
  }

  ~worker() {
    {
      std::lock_guard lock{shared_->mutex};
      shared_->stopping = true;
    }
    shared_->changed.notify_all();
    thread_.join();
    if (options_.revoke_at_end && lease_ != 0) revoke();
  }

  [[nodiscard]] lease_id_t lease() const { return lease_; }

private:
  using clock = std::chrono::steady_clock;
  using answer = op_result<lease_answer>;

  /// An answer may come when the keeper is gone.
  struct state {
    std::mutex mutex;
    std::condition_variable changed;
    bool stopping = false;
  };

  void run() {
    auto next = clock::now();
    while (wait_until(next)) {
      const auto asked_at = clock::now();
      const auto got =
          lease_ == 0 ? ask([&](auto done) { via_.grant({options_.ttl.count()}, std::move(done)); })
                      : ask([&](auto done) { via_.keep_alive({lease_}, std::move(done)); });
      if (!got) return; // the end
      next = clock::now() + take(*got, asked_at);
    }
  }

  /// What an answer means; how long to wait for the next question.
  [[nodiscard]] std::chrono::milliseconds take(const answer& got, clock::time_point asked_at) {
    if (lease_ == 0) {
      if (!got) return options_.retry;
      lease_ = got->lease;
      alive_at_ = asked_at;
      doubtful_ = false;
      tell(lease_news::event::granted);
      return options_.keepalive;
    }
    if (got && got->ttl_s > 0) {
      alive_at_ = asked_at;
      if (std::exchange(doubtful_, false)) tell(lease_news::event::kept);
      return options_.keepalive;
    }
    if (got || got.code() == op_code::not_found) {
      tell(lease_news::event::lost);
      lease_ = 0;
      return std::chrono::milliseconds{0};
    }
    if (!doubtful_ && clock::now() - alive_at_ >= options_.ttl) {
      doubtful_ = true;
      tell(lease_news::event::doubtful);
    }
    return options_.retry;
  }

  void tell(lease_news::event what) { tell_({what, lease_}); }

  /// False: the end has come.
  [[nodiscard]] bool wait_until(clock::time_point moment) {
    std::unique_lock lock{shared_->mutex};
    return !shared_->changed.wait_until(lock, moment, [this] { return shared_->stopping; });
  }

  /// Waits for the answer, or the end, which is nothing.
  template <class Start>
  [[nodiscard]] std::optional<answer> ask(Start start) {
    auto box = std::make_shared<std::optional<answer>>();
    start([to = shared_, box](answer got) {
      {
        std::lock_guard lock{to->mutex};
        *box = std::move(got);
      }
      to->changed.notify_all();
    });
    std::unique_lock lock{shared_->mutex};
    shared_->changed.wait(lock, [&] { return shared_->stopping || box->has_value(); });
    if (shared_->stopping) return {};
    return std::move(*box);
  }

  void revoke() {
    auto done = std::make_shared<bool>(false);
    via_.revoke({lease_}, [to = shared_, done](const op_result<put_answer>&) {
      {
        std::lock_guard lock{to->mutex};
        *done = true;
      }
      to->changed.notify_all();
    });
    std::unique_lock lock{shared_->mutex};
    shared_->changed.wait_for(lock, std::chrono::seconds{1}, [&] { return *done; });
  }

  client& via_;
  const lease_options options_;
  const listener tell_;
  const std::shared_ptr<state> shared_ = std::make_shared<state>();
  std::atomic<lease_id_t> lease_{0};
  clock::time_point alive_at_{}; // the last question that it answered was asked then
  bool doubtful_ = false;
  std::thread thread_;
};

lease_keeper::lease_keeper(std::unique_ptr<worker> made) : worker_(std::move(made)) {}

lease_keeper::~lease_keeper() = default;

op_result<std::unique_ptr<lease_keeper>> lease_keeper::create(client& via, lease_options options,
                                                              listener tell) {
  if (options.ttl.count() < 1 || options.keepalive.count() <= 0 || options.retry.count() <= 0 ||
      options.keepalive >= options.ttl)
    return op_status{op_code::invalid_argument,
                     "a lease needs a ttl of 1 s or more and a sign of life more often than that"};
  try {
    return std::unique_ptr<lease_keeper>{
        new lease_keeper{std::make_unique<worker>(via, options, std::move(tell))}};
  } catch (const std::system_error& e) {
    return op_status{op_code::overloaded, std::string{"no thread for a lease: "} + e.what()};
  }
}

lease_id_t lease_keeper::lease() const {
  return worker_->lease();
}

} // namespace warp::cluster::etcd
