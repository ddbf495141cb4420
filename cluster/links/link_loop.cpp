#include "cluster/links/link_loop.hpp"

#include "cluster/links/link_listener.hpp"
#include "cluster/links/link_stream.hpp"

#include <array>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace warp::cluster::links {

op_result<std::shared_ptr<link_loop>> link_loop::start(link_listener& listener) {
  const int poll = ::epoll_create1(EPOLL_CLOEXEC);
  const int wake = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  std::shared_ptr<link_loop> loop{new link_loop{listener, poll, wake}};
  epoll_event event{EPOLLIN, {.fd = wake}};
  if (poll < 0 || wake < 0 || ::epoll_ctl(poll, EPOLL_CTL_ADD, wake, &event) != 0)
    return op_status{op_code::unavailable,
                     fmt::format("no descriptors for links: {}", std::strerror(errno))};
  try {
    loop->thread_ = std::thread{[me = loop.get()] { me->run(); }};
  } catch (const std::system_error& e) {
    return op_status{op_code::unavailable, fmt::format("no thread for links: {}", e.what())};
  }
  return loop;
}

link_loop::link_loop(link_listener& listener, int poll, int wake)
    : listener_(listener), poll_(poll), wake_(wake) {}

void link_loop::stop() {
  {
    std::lock_guard guard{mutex_};
    stops_ = true;
  }
  wake();
  if (thread_.joinable()) thread_.join();
  std::map<int, std::shared_ptr<link_stream>> last; // go without the lock
  std::lock_guard guard{mutex_};
  last.swap(streams_);
}

link_loop::~link_loop() {
  if (poll_ >= 0) ::close(poll_);
  if (wake_ >= 0) ::close(wake_);
}

void link_loop::wake() noexcept {
  const std::uint64_t one = 1;
  static_cast<void>(::write(wake_, &one, sizeof one));
}

void link_loop::add(std::shared_ptr<link_stream> stream) {
  std::lock_guard guard{mutex_};
  if (stops_) return;
  const int fd = stream->fd();
  // Somebody may have found no room before it came here.
  epoll_event event{EPOLLIN | EPOLLOUT, {.fd = fd}};
  streams_[fd] = std::move(stream);
  ::epoll_ctl(poll_, EPOLL_CTL_ADD, fd, &event);
}

void link_loop::remove(const link_stream& stream) {
  std::shared_ptr<link_stream> last; // may be the last reference: goes without the lock
  std::lock_guard guard{mutex_};
  const auto at = streams_.find(stream.fd());
  if (at == streams_.end() || at->second.get() != &stream) return;
  ::epoll_ctl(poll_, EPOLL_CTL_DEL, stream.fd(), nullptr);
  last = std::move(at->second);
  streams_.erase(at);
}

void link_loop::want_write(const link_stream& stream, bool wanted) {
  std::lock_guard guard{mutex_};
  if (!streams_.contains(stream.fd())) return;
  epoll_event event{wanted ? EPOLLIN | EPOLLOUT : EPOLLIN, {.fd = stream.fd()}};
  ::epoll_ctl(poll_, EPOLL_CTL_MOD, stream.fd(), &event);
}

std::shared_ptr<link_stream> link_loop::find(int fd) {
  std::lock_guard guard{mutex_};
  const auto at = streams_.find(fd);
  return at == streams_.end() ? nullptr : at->second;
}

void link_loop::run() {
  ::pthread_setname_np(::pthread_self(), "node-links");
  std::array<epoll_event, 64> events;
  for (;;) {
    const int n = ::epoll_wait(poll_, events.data(), static_cast<int>(events.size()), -1);
    if (n < 0 && errno != EINTR) return;
    if (stops_) return;
    listener_.turn_begins();
    for (int i = 0; i < n; ++i) {
      const auto& e = events[static_cast<std::size_t>(i)];
      if (e.data.fd == wake_) {
        std::uint64_t count = 0;
        static_cast<void>(::read(wake_, &count, sizeof count));
        continue;
      }
      const auto stream = find(e.data.fd);
      if (!stream) continue;
      if ((e.events & EPOLLOUT) != 0) stream->on_writable();
      if ((e.events & ~static_cast<unsigned>(EPOLLOUT)) != 0) stream->on_readable();
    }
    listener_.on_turn();
    listener_.turn_ends();
  }
}

} // namespace warp::cluster::links
