#include "cluster/listen_socket.hpp"

#include "cluster/config_units.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace warp::cluster {

namespace {

/// Connections that the kernel holds while we are busy; it cuts this down to its own limit.
constexpr int backlog = 1'024;

op_status explain(int error, const host_and_port& at, std::string_view setting) {
  switch (error) {
  case EADDRINUSE:
    return {op_code::unavailable,
            fmt::format("port {0} on {1} is in use by another process (see it with: ss -ltnp "
                        "'sport = :{0}'); stop that process, or choose "
                        "another port with --{2} {1}:PORT",
                        at.port, at.host, setting)};
  case EACCES:
  case EPERM:
    return {op_code::unauthorized, fmt::format("no permission to listen on port {}: ports below "
                                               "1,024 need a privilege; choose another one "
                                               "with --{} {}:PORT",
                                               at.port, setting, at.host)};
  case EADDRNOTAVAIL:
    return {op_code::invalid_argument, fmt::format("{} is no address of this machine: set {} to "
                                                   "one of its own (see them with: ip address)",
                                                   at.host, setting)};
  default:
    return {op_code::io_error,
            fmt::format("cannot listen on {}:{}: {}", at.host, at.port, std::strerror(error))};
  }
}

struct bound {
  std::uint16_t port = 0;
  std::string address;
};

bound bound_to(int fd) {
  sockaddr_storage storage{};
  socklen_t size = sizeof storage;
  ::getsockname(fd, reinterpret_cast<sockaddr*>(&storage), &size);
  char host[INET6_ADDRSTRLEN] = "";
  if (storage.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof host);
    return {ntohs(v6.sin6_port), fmt::format("[{}]:{}", host, ntohs(v6.sin6_port))};
  }
  const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
  ::inet_ntop(AF_INET, &v4.sin_addr, host, sizeof host);
  return {ntohs(v4.sin_port), fmt::format("{}:{}", host, ntohs(v4.sin_port))};
}

/// A listening descriptor, or the errno as a negative number.
int try_listen(const addrinfo& at) {
  const int fd =
      ::socket(at.ai_family, at.ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC, at.ai_protocol);
  if (fd < 0) return -errno;
  // Without it a restart would wait for the old connections to time out. A port that somebody
  // listens on stays refused.
  const int on = 1, off = 0;
  ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (at.ai_family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (::bind(fd, at.ai_addr, at.ai_addrlen) == 0 && ::listen(fd, backlog) == 0) return fd;
  const int error = errno;
  ::close(fd);
  return -error;
}

} // namespace

op_result<listen_socket> listen_socket::open(std::string_view address, std::string_view setting) {
  const auto at = parse_address(address);
  if (!at)
    return op_status(op_code::invalid_argument,
                     fmt::format("{} = \"{}\" is no address with a port", setting, address));
  addrinfo hints{}, *found = nullptr;
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE | AI_NUMERICSERV;
  const auto port = std::to_string(at->port);
  if (const int error =
          ::getaddrinfo(at->host == "*" ? nullptr : at->host.c_str(), port.c_str(), &hints, &found);
      error != 0)
    return op_status(op_code::invalid_argument,
                     fmt::format("{} = \"{}\": {}", setting, address, ::gai_strerror(error)));
  int fd = -EADDRNOTAVAIL;
  // "*" offers IPv6 and IPv4: the IPv6 socket serves both, and a machine without IPv6 falls back.
  for (const int family : {at->host == "*" ? AF_INET6 : AF_UNSPEC, AF_UNSPEC})
    for (const auto* one = found; one != nullptr && fd < 0 && fd != -EADDRINUSE; one = one->ai_next)
      if (family == AF_UNSPEC || one->ai_family == family) fd = try_listen(*one);
  ::freeaddrinfo(found);
  if (fd < 0) return explain(-fd, *at, setting);
  auto [taken, text] = bound_to(fd);
  return listen_socket(fd, taken, std::move(text));
}

op_result<listen_socket> listen_socket::open_beside(const listen_socket& first) {
  // SO_REUSEPORT on a socket that listens already: it was bound without it, so nobody else has the
  // port, and it stays closed to everybody who binds without it, as open() does.
  const int on = 1, off = 0;
  sockaddr_storage at{};
  socklen_t size = sizeof at;
  listen_socket beside(-1, first.port_, first.address_);
  const auto listens = [&] {
    if (::setsockopt(first.fd_, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0 ||
        ::getsockname(first.fd_, reinterpret_cast<sockaddr*>(&at), &size) != 0)
      return false;
    const int fd = ::socket(at.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return false;
    beside.fd_ = fd;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (at.ss_family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    return ::setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) == 0 &&
           ::bind(fd, reinterpret_cast<const sockaddr*>(&at), size) == 0 &&
           ::listen(fd, backlog) == 0;
  };
  if (listens()) return beside;
  return op_status(op_code::not_supported, fmt::format("cannot listen on {} a second time: {}",
                                                       first.address_, std::strerror(errno)));
}

listen_socket::~listen_socket() {
  if (fd_ >= 0) ::close(fd_);
}

listen_socket::listen_socket(listen_socket&& other) noexcept
    : fd_(other.release()), port_(other.port_), address_(std::move(other.address_)) {}

listen_socket& listen_socket::operator=(listen_socket&& other) noexcept {
  std::swap(fd_, other.fd_);
  std::swap(port_, other.port_);
  std::swap(address_, other.address_);
  return *this;
}

int listen_socket::release() noexcept {
  return std::exchange(fd_, -1);
}

} // namespace warp::cluster
