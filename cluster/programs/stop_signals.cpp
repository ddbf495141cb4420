#include "cluster/programs/stop_signals.hpp"

#include <algorithm>
#include <csignal>
#include <cstdint>
#include <poll.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

namespace warp::programs {

namespace {

using std::chrono::steady_clock;

/// Nothing that is acknowledged as durable depends on what is skipped here: the log is on disk.
[[noreturn]] void end_process(int code) {
  spdlog::default_logger()->flush();
  ::_exit(code);
}

constexpr std::chrono::milliseconds after_second_signal{1'000};

} // namespace

stop_signals::stop_signals() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &set, nullptr);
  std::signal(SIGPIPE, SIG_IGN); // a client that has gone is an error of a write
  signal_fd_ = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  wake_fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  thread_ = std::thread([this] { watch(); });
}

stop_signals::~stop_signals() {
  {
    std::lock_guard guard{mutex_};
    over_ = true;
  }
  ::eventfd_write(wake_fd_, 1);
  thread_.join();
  ::close(signal_fd_);
  ::close(wake_fd_);
}

void stop_signals::expect_stop(std::function<void()> hurry) {
  std::lock_guard guard{mutex_};
  hurry_ = std::move(hurry);
  expecting_ = true;
}

void stop_signals::stopped() {
  std::lock_guard guard{mutex_};
  hurry_ = [] {};
}

std::optional<std::string> stop_signals::wait() {
  std::unique_lock lock{mutex_};
  changed_.wait(lock, [&] { return !first_signal_.empty() || !cause_.empty(); });
  if (!cause_.empty()) return {};
  return first_signal_;
}

void stop_signals::asked(std::string name) {
  std::lock_guard guard{mutex_};
  if (first_signal_.empty()) first_signal_ = std::move(name);
  changed_.notify_all();
}

void stop_signals::failed(std::string cause) {
  std::lock_guard guard{mutex_};
  if (cause_.empty()) cause_ = std::move(cause);
  changed_.notify_all();
}

std::string stop_signals::cause() const {
  std::lock_guard guard{mutex_};
  return cause_;
}

void stop_signals::limit_stop(std::chrono::milliseconds bound) {
  {
    std::lock_guard guard{mutex_};
    end_at_ = steady_clock::now() + bound;
  }
  ::eventfd_write(wake_fd_, 1);
}

void stop_signals::watch() {
  for (;;) {
    int timeout_ms = -1;
    {
      std::lock_guard guard{mutex_};
      if (over_) return;
      if (end_at_) {
        const auto left =
            std::chrono::ceil<std::chrono::milliseconds>(*end_at_ - steady_clock::now()).count();
        if (left <= 0) {
          spdlog::error("the stop took too long: ending the process; what was acknowledged as "
                        "durable is on disk");
          end_process(1);
        }
        timeout_ms = static_cast<int>(std::min<std::int64_t>(left, 3'600'000));
      }
    }
    pollfd fds[2] = {{signal_fd_, POLLIN, 0}, {wake_fd_, POLLIN, 0}};
    if (::poll(fds, 2, timeout_ms) <= 0) continue;
    eventfd_t ignored = 0;
    if (fds[1].revents != 0) ::eventfd_read(wake_fd_, &ignored);
    signalfd_siginfo info{};
    while (::read(signal_fd_, &info, sizeof info) == sizeof info)
      take(static_cast<int>(info.ssi_signo));
  }
}

void stop_signals::take(int signal) {
  const std::string name = signal == SIGINT ? "SIGINT" : "SIGTERM";
  std::lock_guard guard{mutex_};
  if (!expecting_) {
    spdlog::info("{} during the start: ending; the next start finds the data folder as it was",
                 name);
    end_process(0);
  }
  if (first_signal_.empty()) {
    first_signal_ = name;
    changed_.notify_all();
    return;
  }
  spdlog::warn("{} again: ending at once", name);
  const auto at_most = steady_clock::now() + after_second_signal;
  end_at_ = end_at_ ? std::min(*end_at_, at_most) : at_most;
  hurry_();
}

} // namespace warp::programs
