#include "cluster/kj_loop.hpp"

#include <future>
#include <kj/debug.h>
#include <memory>
#include <pthread.h>

namespace warp::cluster {

kj_loop::kj_loop(std::string name, main_function main)
    : name_(std::move(name)), main_(std::move(main)), thread_([this] { run(); }) {}

kj_loop::~kj_loop() {
  join();
}

void kj_loop::join() {
  if (thread_.joinable()) thread_.join();
}

void kj_loop::post(std::function<void()> work) {
  std::lock_guard lock{mutex_};
  if (ended_) return;
  posted_.push_back(std::move(work));
  if (posted_.size() == 1 && signal_) signal_->raise();
}

void kj_loop::call(std::function<void()> work) {
  const auto done = std::make_shared<std::promise<void>>();
  auto wait = done->get_future();
  post([work = std::move(work), done] {
    work();
    done->set_value();
  });
  wait.wait();
}

kj::Promise<void> kj_loop::run_posted() {
  std::vector<std::function<void()>> work;
  {
    std::lock_guard lock{mutex_};
    work.swap(posted_);
  }
  for (auto& w : work) w();
  return signal_->wait().then([this] { return run_posted(); });
}

void kj_loop::run() {
  ::pthread_setname_np(::pthread_self(), name_.c_str());
  auto io = kj::setupAsyncIo();
  // A turn of the loop is a few hundred nanoseconds: new input is looked for several times a
  // millisecond even when one connection alone could keep the loop busy.
  io.waitScope.setBusyPollInterval(1'000);
  io_ = &io;
  {
    loop_signal signal{io.unixEventPort};
    {
      std::lock_guard lock{mutex_};
      signal_ = &signal;
    }
    try {
      auto main = main_(*this); // first: posted work may use what it builds
      auto posted = run_posted().eagerlyEvaluate(
          [](kj::Exception&& e) { KJ_LOG(ERROR, "posted work failed", e); });
      main.wait(io.waitScope);
    } catch (const kj::Exception& e) {
      KJ_LOG(ERROR, "an event loop ended by an error", e);
    }
    std::vector<std::function<void()>> dropped;
    std::lock_guard lock{mutex_};
    ended_ = true;
    signal_ = nullptr;
    dropped.swap(posted_);
  }
  io_ = nullptr;
}

} // namespace warp::cluster
