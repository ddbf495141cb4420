#include "cluster/links/link_probe.hpp"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fmt/format.h>
#include <memory>
#include <netdb.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace warp::cluster::links {

namespace {

using clock = std::chrono::steady_clock;

struct descriptor {
  int fd = -1;
  explicit descriptor(int f) : fd(f) {}
  descriptor(const descriptor&) = delete;
  descriptor& operator=(const descriptor&) = delete;
  ~descriptor() {
    if (fd >= 0) ::close(fd);
  }
};

/// OpenSSL writes without MSG_NOSIGNAL: a connection that breaks meanwhile must not end the
/// process.
class no_broken_pipe {
public:
  no_broken_pipe() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~no_broken_pipe() {
    if (sigismember(&before_, SIGPIPE) == 1) return;
    const timespec now{};
    while (::sigtimedwait(&pipe_, nullptr, &now) > 0) {
    }
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  no_broken_pipe(const no_broken_pipe&) = delete;
  no_broken_pipe& operator=(const no_broken_pipe&) = delete;

private:
  sigset_t pipe_{}, before_{};
};

class prober {
public:
  prober(const peer_address& address, std::chrono::milliseconds bound)
      : address_(address), bound_(bound), until_(clock::now() + bound) {}

  probe_result run(const std::optional<tls_files>& tls) {
    addrinfo hints{};
    hints.ai_socktype = SOCK_STREAM;
    addrinfo* found = nullptr;
    const auto port = std::to_string(address_.port);
    if (const int e = ::getaddrinfo(address_.host.c_str(), port.c_str(), &hints, &found); e != 0)
      return failed(::gai_strerror(e));
    const std::unique_ptr<addrinfo, void (*)(addrinfo*)> all{found, ::freeaddrinfo};
    probe_result last;
    for (auto* a = found; a; a = a->ai_next) {
      descriptor socket{
          ::socket(a->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, a->ai_protocol)};
      if (socket.fd < 0) return failed(std::strerror(errno));
      last = connect(socket.fd, *a);
      if (last.status.ok()) return tls ? shake_hands(socket.fd, *tls) : listen_to(socket.fd);
    }
    return last;
  }

private:
  probe_result failed(std::string_view why, op_code code = op_code::unavailable) const {
    return {{code, fmt::format("{}: {}", to_string(address_), why)}, false};
  }

  /// False: the time is up.
  [[nodiscard]] bool wait(int fd, short events) const {
    for (;;) {
      const auto left =
          std::chrono::duration_cast<std::chrono::milliseconds>(until_ - clock::now()).count();
      if (left <= 0) return false;
      pollfd p{fd, events, 0};
      const int n = ::poll(&p, 1, static_cast<int>(left));
      if (n > 0) return true;
      if (n < 0 && errno != EINTR) return false;
    }
  }

  probe_result connect(int fd, const addrinfo& to) const {
    int error = 0;
    if (::connect(fd, to.ai_addr, to.ai_addrlen) != 0) {
      error = errno;
      if (error == EINPROGRESS) {
        if (!wait(fd, POLLOUT))
          return failed(fmt::format("no connection within {} ms", bound_.count()));
        socklen_t size = sizeof error;
        ::getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
      }
    }
    if (error == 0) return {};
    auto result = failed(std::strerror(error));
    result.refused = error == ECONNREFUSED;
    return result;
  }

  /// Whoever accepts speaks first.
  probe_result listen_to(int fd) const {
    char byte;
    for (;;) {
      const auto n = ::recv(fd, &byte, 1, 0);
      if (n > 0) return {};
      if (n == 0) return failed("it closes the connection: no node, or it is stopping");
      if (errno != EAGAIN && errno != EINTR) return failed(std::strerror(errno));
      if (!wait(fd, POLLIN))
        return failed(fmt::format("says nothing within {} ms: it is overloaded, no node, or wants "
                                  "TLS, which is not configured here",
                                  bound_.count()));
    }
  }

  probe_result shake_hands(int fd, const tls_files& files) const {
    const auto context = load(files);
    if (!context.ok()) return {context.status(), false};
    const no_broken_pipe guard;
    ERR_clear_error();
    const std::unique_ptr<SSL, void (*)(SSL*)> ssl{SSL_new(context->get()), SSL_free};
    if (!ssl) return failed(tls_error_text());
    SSL_set_fd(ssl.get(), fd);
    SSL_set1_host(ssl.get(), files.name.c_str());
    if (auto result = drive(*ssl, fd, "TLS", [&] { return SSL_connect(ssl.get()); });
        !result.status.ok())
      return result;
    // By TLS 1.3 a peer that does not like our certificate says so only now.
    char byte;
    return drive(*ssl, fd, "the peer refuses our certificate or closes the connection",
                 [&] { return SSL_read(ssl.get(), &byte, 1); });
  }

  template <class Step>
  probe_result drive(SSL& ssl, int fd, const char* what, Step step) const {
    for (;;) {
      const int n = step();
      if (n > 0) return {};
      const int why = SSL_get_error(&ssl, n);
      if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
        if (wait(fd, why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT)) continue;
        return failed(fmt::format("{}: nothing within {} ms", what, bound_.count()));
      }
      const auto verdict = SSL_get_verify_result(&ssl);
      const auto reason = verdict != X509_V_OK ? std::string{X509_verify_cert_error_string(verdict)}
                          : why == SSL_ERROR_SSL ? tls_error_text()
                                                 : std::string{"the connection ended"};
      return failed(fmt::format("{}: {} (all nodes need certificates of the same authority, or "
                                "none of them TLS)",
                                what, reason),
                    op_code::unauthorized);
    }
  }

  const peer_address& address_;
  std::chrono::milliseconds bound_;
  clock::time_point until_;
};

} // namespace

std::string to_string(const peer_address& address) {
  return address.host.find(':') == std::string::npos
             ? fmt::format("{}:{}", address.host, address.port)
             : fmt::format("[{}]:{}", address.host, address.port);
}

probe_result probe(const peer_address& address, const std::optional<tls_files>& tls,
                   std::chrono::milliseconds bound) {
  return prober{address, bound}.run(tls);
}

} // namespace warp::cluster::links
