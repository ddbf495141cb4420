#pragma once

#include "cluster/resp_server.hpp"
#include "tests/support/engine_fixture.hpp"
#include "tests/support/temp_folder.hpp"

#include <arpa/inet.h>
#include <catch2/catch_test_macros.hpp>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <functional>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <optional>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>
#include <vector>

namespace warp::cluster {

/// A client of one socket: bytes out, replies in as they stand on the wire.
class resp_client {
public:
  explicit resp_client(std::uint16_t port, int receive_bytes = 0) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_bytes != 0)
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_port = htons(port);
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    // No assertion unless it fails: threads may connect at the same time.
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&at), sizeof at) != 0)
      FAIL("cannot connect: " << std::strerror(errno));
    const int on = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  ~resp_client() {
    if (fd_ >= 0) ::close(fd_);
  }
  resp_client(resp_client&& other) noexcept : fd_(other.fd_), buffer_(std::move(other.buffer_)) {
    other.fd_ = -1;
  }
  resp_client& operator=(resp_client&&) = delete;

  /// False: the server has closed.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return true;
  }
  /// The server is told that the connection is no more, instead of its end.
  void close_with_reset() {
    const linger at_once{.l_onoff = 1, .l_linger = 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    ::close(std::exchange(fd_, -1));
  }
  /// As much as the socket takes at once.
  std::size_t send_some(std::string_view bytes) {
    const auto n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    return n > 0 ? static_cast<std::size_t>(n) : 0;
  }

  static std::string command(const std::vector<std::string>& words) {
    std::string out = "*" + std::to_string(words.size()) + "\r\n";
    for (const auto& w : words) {
      out += "$" + std::to_string(w.size());
      out += "\r\n" + w + "\r\n";
    }
    return out;
  }

  std::string ask(const std::vector<std::string>& words) {
    if (!send(command(words))) return "(closed)";
    return reply();
  }

  /// One reply with all that belongs to it; "(closed)".
  std::string reply() {
    std::string out;
    std::size_t left = 1;
    while (left != 0) {
      const auto line = take_line();
      if (!line) return "(closed)";
      out += *line + "\r\n";
      --left;
      const auto count = std::atoll(line->c_str() + 1);
      switch ((*line)[0]) {
      case '$':
        if (count < 0) break;
        if (const auto bytes = take(static_cast<std::size_t>(count) + 2))
          out += *bytes;
        else
          return "(closed)";
        break;
      case '*':
      case '>':
      case '~':
        if (count > 0) left += static_cast<std::size_t>(count);
        break;
      case '%':
        left += 2 * static_cast<std::size_t>(count);
        break;
      default:
        break;
      }
    }
    return out;
  }

  /// Has anything arrived that was not taken?
  bool has_more() {
    pollfd one{fd_, POLLIN, 0};
    return !buffer_.empty() || ::poll(&one, 1, 0) > 0;
  }
  /// All until the server closes.
  std::string rest() {
    while (receive()) {
    }
    return std::move(buffer_);
  }

private:
  bool receive() {
    char piece[65536];
    const auto n = ::recv(fd_, piece, sizeof piece, 0);
    if (n <= 0) return false;
    buffer_.append(piece, static_cast<std::size_t>(n));
    return true;
  }
  std::optional<std::string> take(std::size_t size) {
    while (buffer_.size() < size)
      if (!receive()) return std::nullopt;
    auto out = buffer_.substr(0, size);
    buffer_.erase(0, size);
    return out;
  }
  std::optional<std::string> take_line() {
    std::size_t end = 0;
    while ((end = buffer_.find("\r\n")) == std::string::npos)
      if (!receive()) return std::nullopt;
    auto out = buffer_.substr(0, end);
    buffer_.erase(0, end + 2);
    return out;
  }

  int fd_ = -1;
  std::string buffer_;
};

inline std::string bulk(std::string_view text) {
  return "$" + std::to_string(text.size()) + "\r\n" + std::string{text} + "\r\n";
}

/// A server on a free port, with an engine in a temporary folder (or in memory only).
class served {
public:
  explicit served(resp_server_options options = {}, bool in_memory = false)
      : engine_(testing::small_options(in_memory ? std::string{} : folder_.path())) {
    options.listen = "127.0.0.1:0";
    options.version = "test";
    auto started = resp_server::start(std::move(options), *engine_);
    INFO(started.status().to_string());
    REQUIRE(started.ok());
    server_ = std::move(*started);
  }

  [[nodiscard]] resp_client client() const { return resp_client{server_->port()}; }
  [[nodiscard]] resp_server& server() { return *server_; }
  [[nodiscard]] storage::engine& engine() { return *engine_; }

private:
  testing::temp_folder folder_;
  testing::running_engine engine_;
  std::unique_ptr<resp_server> server_;
};

/// Waits for what the server is about to do; only for what must come. Between two looks `probe`,
/// another client of it, asks something: its answer is the end of a turn of the server's loop.
inline void await(resp_client& probe, const std::function<bool()>& holds) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::minutes{5};
  while (!holds()) {
    if (std::chrono::steady_clock::now() > end) FAIL("it did not come");
    if (probe.ask({"PING"}) != "+PONG\r\n") FAIL("the server does not answer");
  }
}

} // namespace warp::cluster
