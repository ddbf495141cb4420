#pragma once

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <list>
#include <netinet/in.h>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <utility>
#include <vector>

namespace warp::testing {

/// A listening socket on a free port of the loopback, or a connection to one; closed when
/// destroyed.
class loopback_socket {
public:
  static loopback_socket listening() {
    loopback_socket s{::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0)};
    auto a = address(0);
    if (::bind(s.fd_, reinterpret_cast<sockaddr*>(&a), sizeof a) != 0 || ::listen(s.fd_, 64) != 0)
      throw std::runtime_error("no port is free");
    return s;
  }
  static loopback_socket connected(std::uint16_t port) {
    loopback_socket s{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
    auto a = address(port);
    if (::connect(s.fd_, reinterpret_cast<sockaddr*>(&a), sizeof a) != 0) {
      ::close(s.fd_);
      s.fd_ = -1;
    }
    return s;
  }
  explicit loopback_socket(int fd) : fd_(fd) {}
  loopback_socket(loopback_socket&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  loopback_socket& operator=(loopback_socket&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~loopback_socket() {
    if (fd_ >= 0) ::close(fd_);
  }

  [[nodiscard]] int fd() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }
  [[nodiscard]] std::uint16_t port() const {
    sockaddr_in a{};
    socklen_t size = sizeof a;
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&a), &size);
    return ntohs(a.sin_port);
  }

private:
  static sockaddr_in address(std::uint16_t port) {
    sockaddr_in a{};
    a.sin_family = AF_INET;
    a.sin_port = htons(port);
    a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return a;
  }
  int fd_;
};

/// A wire between a node and a port of the loopback that can be cut, and be silent.
class tcp_forwarder {
public:
  enum class wire : std::uint8_t {
    whole,
    silent, ///< nothing gets through, and nobody is told
    cut,    ///< connections are closed, new ones at once
  };

  explicit tcp_forwarder(std::uint16_t target) : target_(target), thread_([this] { run(); }) {}
  ~tcp_forwarder() {
    stop_ = true;
    thread_.join();
  }
  tcp_forwarder(const tcp_forwarder&) = delete;
  tcp_forwarder& operator=(const tcp_forwarder&) = delete;

  [[nodiscard]] std::uint16_t port() const { return listener_.port(); }
  void set(wire how) { how_ = how; }

private:
  struct pair {
    loopback_socket near, far;
    bool over = false;
  };

  static bool pump(int from, int to) {
    char bytes[65536];
    const auto n = ::recv(from, bytes, sizeof bytes, MSG_DONTWAIT);
    if (n == 0) return false;
    if (n < 0) return errno == EAGAIN || errno == EINTR;
    for (ssize_t sent = 0; sent < n;) {
      const auto m = ::send(to, bytes + sent, static_cast<std::size_t>(n - sent), MSG_NOSIGNAL);
      if (m <= 0) return false;
      sent += m;
    }
    return true;
  }

  void run() {
    std::list<pair> pairs;
    while (!stop_) {
      const auto how = how_.load();
      if (how == wire::cut) pairs.clear();
      std::vector<pollfd> polled{{listener_.fd(), POLLIN, 0}};
      if (how == wire::whole)
        for (auto& p : pairs) {
          polled.push_back({p.near.fd(), POLLIN, 0});
          polled.push_back({p.far.fd(), POLLIN, 0});
        }
      ::poll(polled.data(), polled.size(), 5);
      if (how == wire::whole) {
        std::size_t i = 1;
        for (auto& p : pairs) {
          if (polled[i++].revents != 0) p.over |= !pump(p.near.fd(), p.far.fd());
          if (polled[i++].revents != 0) p.over |= !pump(p.far.fd(), p.near.fd());
        }
        pairs.remove_if([](const pair& p) { return p.over; });
      }
      const int fd = ::accept(listener_.fd(), nullptr, nullptr);
      if (fd < 0) continue;
      loopback_socket near{fd};
      if (how == wire::cut) continue;
      auto far = loopback_socket::connected(target_);
      if (far) pairs.push_back({std::move(near), std::move(far)});
    }
  }

  std::uint16_t target_;
  loopback_socket listener_ = loopback_socket::listening();
  std::atomic<wire> how_{wire::whole};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

} // namespace warp::testing
