#pragma once

#include <arpa/inet.h>
#include <cstdint>
#include <netinet/in.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>

namespace warp::tests {

/// A TCP connection to a port of this machine for tests: blocking, bytes in, bytes out.
class raw_connection {
public:
  explicit raw_connection(std::uint16_t port)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0;
  }
  ~raw_connection() { ::close(fd_); }
  raw_connection(const raw_connection&) = delete;
  raw_connection& operator=(const raw_connection&) = delete;

  [[nodiscard]] bool connected() const { return connected_; }
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  /// Everything until the other side closes.
  std::string read_all() {
    std::string all;
    char buffer[4096];
    for (ssize_t n; (n = ::recv(fd_, buffer, sizeof buffer, 0)) > 0;)
      all.append(buffer, static_cast<std::size_t>(n));
    return all;
  }
  /// Up to and including `mark`, or until the end.
  std::string read_until(std::string_view mark) {
    std::string all;
    char byte = 0;
    while (!all.ends_with(mark) && ::recv(fd_, &byte, 1, 0) == 1) all += byte;
    return all;
  }

private:
  int fd_;
  bool connected_ = false;
};

/// One request on a connection of its own; the whole answer with its head.
inline std::string http_exchange(std::uint16_t port, std::string_view method,
                                 std::string_view path) {
  raw_connection connection(port);
  if (!connection.connected()) return {};
  connection.send(std::string(method) + " " + std::string(path) +
                  " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
  return connection.read_all();
}

} // namespace warp::tests
