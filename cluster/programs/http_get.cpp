#include "cluster/programs/http_get.hpp"

#include "cluster/config_units.hpp"

#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <netdb.h>
#include <sys/socket.h>
#include <unistd.h>

namespace warp::programs {

namespace {

constexpr std::size_t answer_bytes_max = 16u << 20;

/// A connected socket that gives up after `patience`, or -1 with errno.
int connect_to(const cluster::host_and_port& at, std::chrono::milliseconds patience) {
  addrinfo hints{}, *found = nullptr;
  hints.ai_socktype = SOCK_STREAM;
  if (::getaddrinfo(at.host.c_str(), std::to_string(at.port).c_str(), &hints, &found) != 0) {
    errno = EADDRNOTAVAIL;
    return -1;
  }
  const timeval limit{patience.count() / 1'000, patience.count() % 1'000 * 1'000};
  int fd = -1;
  for (const auto* one = found; one != nullptr && fd < 0; one = one->ai_next) {
    fd = ::socket(one->ai_family, one->ai_socktype | SOCK_CLOEXEC, one->ai_protocol);
    if (fd < 0) continue;
    ::setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit); // connect() too
    if (::connect(fd, one->ai_addr, one->ai_addrlen) == 0) break;
    const int error = errno;
    ::close(fd);
    fd = -1;
    errno = error;
  }
  ::freeaddrinfo(found);
  return fd;
}

} // namespace

op_result<std::string> http_get(std::string_view address, std::string_view path,
                                std::chrono::milliseconds patience) {
  const auto at = cluster::parse_address(address);
  if (!at)
    return op_status(op_code::invalid_argument,
                     fmt::format("{} is no address with a port, as in 127.0.0.1:7480", address));
  const int fd = connect_to(*at, patience);
  if (fd < 0)
    return op_status(op_code::unavailable,
                     fmt::format("no answer from {}: {}", address, std::strerror(errno)));
  const auto request =
      fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", path, address);
  std::string answer;
  ssize_t got = ::send(fd, request.data(), request.size(), MSG_NOSIGNAL);
  char buffer[16 * 1024];
  while (got > 0 && answer.size() <= answer_bytes_max) {
    got = ::recv(fd, buffer, sizeof buffer, 0);
    if (got > 0) answer.append(buffer, static_cast<std::size_t>(got));
  }
  const int error = errno;
  ::close(fd);
  if (got < 0)
    return op_status(op_code::unavailable,
                     fmt::format("no answer from {}: {}", address, std::strerror(error)));
  const auto body = answer.find("\r\n\r\n");
  if (!answer.starts_with("HTTP/1.1 200") || body == std::string::npos ||
      answer.size() > answer_bytes_max)
    return op_status(op_code::io_error, fmt::format("{} has no {}: {}", address, path,
                                                    answer.substr(0, answer.find('\r'))));
  return answer.substr(body + 4);
}

} // namespace warp::programs
