#include "cluster/links/link_dial.hpp"

#include "cluster/links/link_handshake.hpp"

#include <cerrno>
#include <cstring>
#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <utility>

namespace warp::cluster::links {

namespace {

using clock = std::chrono::steady_clock;

class attempt {
public:
  attempt(const peer_address& address, std::chrono::milliseconds bound)
      : address_(address), bound_(bound), until_(clock::now() + bound) {}

  dialled run(const std::optional<tls_files>& tls) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const auto port = std::to_string(address_.port);
    if (const int e = ::getaddrinfo(address_.host.c_str(), port.c_str(), &hints, &found); e != 0)
      return failed({op_code::unavailable, ::gai_strerror(e)});
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> all{found, ::freeaddrinfo};
    dialled last;
    for (auto* a = found; a; a = a->ai_next) {
      last = connect(*a);
      if (!last.status.ok()) continue;
      if (auto status = meet(*last.socket, tls); !status.ok()) return failed(std::move(status));
      return last;
    }
    return last;
  }

private:
  dialled failed(op_status why, bool refused = false) const {
    return {{why.code(), fmt::format("{}: {}", to_string(address_), why.message())}, refused, {}};
  }

  dialled connect(const addrinfo& to) const {
    const int fd =
        ::socket(to.ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, to.ai_protocol);
    if (fd < 0) return failed({op_code::unavailable, std::strerror(errno)});
    auto socket = std::make_unique<link_socket>(fd);
    int error = ::connect(fd, to.ai_addr, to.ai_addrlen) == 0 ? 0 : errno;
    if (error == EINPROGRESS) {
      if (!socket->wait(POLLOUT, until_))
        return failed(
            {op_code::unavailable, fmt::format("no connection within {} ms", bound_.count())});
      socklen_t size = sizeof error;
      ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
    }
    if (error == 0) return {{}, false, std::move(socket)};
    return failed({op_code::unavailable, std::strerror(error)}, error == ECONNREFUSED);
  }

  [[nodiscard]] op_status meet(link_socket& socket, const std::optional<tls_files>& tls) const {
    if (tls) {
      const auto context = load(*tls); // again: they may have been replaced
      if (!context.ok()) return context.status();
      if (auto status = socket.secure_as_client(**context, tls->name, until_); !status.ok())
        return status;
    }
    auto status = await_greeting(socket, until_);
    if (status.code() == op_code::timed_out)
      status = {op_code::unavailable,
                fmt::format("says nothing within {} ms: it is overloaded, no node, or wants TLS, "
                            "which is not configured here",
                            bound_.count())};
    return status;
  }

  const peer_address& address_;
  std::chrono::milliseconds bound_;
  clock::time_point until_;
};

} // namespace

dialled dial(const peer_address& address, const std::optional<tls_files>& tls,
             std::chrono::milliseconds bound) {
  return attempt{address, bound}.run(tls);
}

} // namespace warp::cluster::links
