#include "cluster/loop_signal.hpp"

#include <cstdint>
#include <kj/debug.h>
#include <sys/eventfd.h>
#include <unistd.h>

namespace warp::cluster {

namespace {

int new_eventfd() {
  int fd = 0;
  KJ_SYSCALL(fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  return fd;
}

} // namespace

loop_signal::loop_signal(kj::UnixEventPort& port)
    : fd_(new_eventfd()), observer_(port, fd_, kj::UnixEventPort::FdObserver::OBSERVE_READ) {}

void loop_signal::raise() noexcept {
  if (raised_.exchange(true, std::memory_order_acq_rel)) return; // the loop has not looked yet
  const std::uint64_t one = 1;
  // Can only fail by overflow, after 2^64 wake-ups that nobody took.
  [[maybe_unused]] const auto written = ::write(fd_, &one, sizeof one);
}

kj::Promise<void> loop_signal::wait() {
  if (take()) return kj::READY_NOW;
  return observer_.whenBecomesReadable().then([this] { return wait(); });
}

bool loop_signal::take() {
  std::uint64_t count = 0;
  if (::read(fd_, &count, sizeof count) != static_cast<ssize_t>(sizeof count)) return false;
  // The descriptor first, the flag second: a raise() in between writes nothing, and what it
  // announces is seen by whoever looks after this exchange.
  raised_.exchange(false, std::memory_order_acq_rel);
  return true;
}

} // namespace warp::cluster
