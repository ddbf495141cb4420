#include "cluster/rpc_acceptor.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <netinet/in.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <utility>

namespace warp::cluster {

namespace {

/// How long accepting rests when the process has no descriptor left.
constexpr auto accept_pause = 100 * kj::MILLISECONDS;
/// Who can make it happen must not make us fill the disk with lines.
constexpr auto told_apart = std::chrono::seconds{10};

std::string text_of(const sockaddr_storage& address) {
  char host[INET6_ADDRSTRLEN] = "";
  if (address.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(address);
    ::inet_ntop(AF_INET6, &v6.sin6_addr, host, sizeof host);
    return "[" + std::string{host} + "]:" + std::to_string(ntohs(v6.sin6_port));
  }
  const auto& v4 = reinterpret_cast<const sockaddr_in&>(address);
  ::inet_ntop(AF_INET, &v4.sin_addr, host, sizeof host);
  return std::string{host} + ":" + std::to_string(ntohs(v4.sin_port));
}

} // namespace

rpc_acceptor::rpc_acceptor(kj_loop& loop, listen_socket socket, taker take)
    : loop_(loop), socket_(std::move(socket)), take_(std::move(take)),
      observer_(loop.io().unixEventPort, socket_.fd(), kj::UnixEventPort::FdObserver::OBSERVE_READ),
      accepting_(nullptr) {
  accepting_ = kj::evalLater([this] { return accept(); }).eagerlyEvaluate([](kj::Exception&& e) {
    spdlog::error("rpc: accepting ended: {}", e.getDescription().cStr());
  });
}

/// Takes all connections that wait, then waits for the next one.
kj::Promise<void> rpc_acceptor::accept() {
  for (;;) {
    sockaddr_storage address{};
    socklen_t size = sizeof address;
    const int fd = ::accept4(socket_.fd(), reinterpret_cast<sockaddr*>(&address), &size,
                             SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      take_(fd, text_of(address));
      continue;
    }
    switch (errno) {
    case EAGAIN:
      return observer_.whenBecomesReadable().then([this] { return accept(); });
    case EINTR:
    case ECONNABORTED:
      continue;
    default:
      // No descriptors, no memory: whoever waits in the queue is served when some are free again.
      if (const auto now = std::chrono::steady_clock::now(); now >= tell_again_at_) {
        spdlog::warn("rpc: cannot accept a connection: {}; trying again", std::strerror(errno));
        tell_again_at_ = now + told_apart;
      }
      return loop_.timer().afterDelay(accept_pause).then([this] { return accept(); });
    }
  }
}

} // namespace warp::cluster
