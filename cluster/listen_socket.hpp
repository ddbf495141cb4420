#pragma once

#include "messages/status.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace warp::cluster {

/// A TCP socket that listens; closed when destroyed. Moved, not copied.
class listen_socket {
public:
  /// Binds "host:port" and listens; port 0 takes a free one. `setting` names what to change
  /// ("http.listen") in messages. Codes: unavailable (the port is in use), unauthorized (no right
  /// to it), invalid_argument (no such address here), io_error.
  static op_result<listen_socket> open(std::string_view address, std::string_view setting);
  /// Another socket on the same address and port: from now on the kernel spreads new connections
  /// over all of them, so each may be served by a thread of its own. `first` must have been opened
  /// by open(), which takes a port only when nobody listens on it; so another process that opens
  /// the port is still told that it is in use. not_supported: this kernel cannot; `first` goes on
  /// alone.
  static op_result<listen_socket> open_beside(const listen_socket& first);
  ~listen_socket();
  listen_socket(listen_socket&& other) noexcept;
  listen_socket& operator=(listen_socket&& other) noexcept;

  /// Non-blocking, close-on-exec; stays ours.
  [[nodiscard]] int fd() const noexcept { return fd_; }
  /// Gives the descriptor away; the caller closes it.
  int release() noexcept;
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  /// "127.0.0.1:7480", "[::1]:7480": with the port that was taken.
  [[nodiscard]] const std::string& address() const noexcept { return address_; }

private:
  listen_socket(int fd, std::uint16_t port, std::string address)
      : fd_(fd), port_(port), address_(std::move(address)) {}

  int fd_ = -1;
  std::uint16_t port_ = 0;
  std::string address_;
};

} // namespace warp::cluster
