#include "cluster/links/link_socket.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <cstring>
#include <fmt/format.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace warp::cluster::links {

namespace {

/// The kernel takes so much that it cannot send at once. What lies there can be overtaken by
/// nothing, so answers and signs of life would wait behind it; what is on its way in the network
/// comes on top, however much that holds.
constexpr int unsent_max = 256 << 10;

op_status ended(const std::string& why) {
  return {op_code::unavailable, "the connection or the peer ended: " + why};
}

// OpenSSL's own way to a socket writes without MSG_NOSIGNAL: a connection that breaks would end the
// process.

int fd_of(BIO* bio) {
  return static_cast<int>(reinterpret_cast<std::intptr_t>(BIO_get_data(bio)));
}

int answer(BIO* bio, ssize_t n, int retry) {
  BIO_clear_retry_flags(bio);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    BIO_set_flags(bio, retry | BIO_FLAGS_SHOULD_RETRY);
  return static_cast<int>(n);
}

BIO_METHOD* socket_method() {
  static BIO_METHOD* const method = [] {
    auto* m = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "a link");
    BIO_meth_set_write(m, [](BIO* bio, const char* bytes, int size) {
      return answer(bio, ::send(fd_of(bio), bytes, static_cast<std::size_t>(size), MSG_NOSIGNAL),
                    BIO_FLAGS_WRITE);
    });
    BIO_meth_set_read(m, [](BIO* bio, char* bytes, int size) {
      return answer(bio, ::recv(fd_of(bio), bytes, static_cast<std::size_t>(size), 0),
                    BIO_FLAGS_READ);
    });
    BIO_meth_set_ctrl(
        m, [](BIO*, int what, long, void*) -> long { return what == BIO_CTRL_FLUSH ? 1 : 0; });
    return m;
  }();
  return method;
}

} // namespace

void link_socket::free_tls::operator()(ssl_st* tls) const noexcept {
  SSL_free(tls);
}

link_socket::link_socket(int fd) : fd_(fd) {
  const int on = 1;
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(fd_, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_max, sizeof unsent_max);
}

link_socket::~link_socket() {
  tls_.reset();
  ::close(fd_);
}

bool link_socket::wait(short events, deadline until) const {
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(until - std::chrono::steady_clock::now());
    if (left.count() <= 0) return false;
    pollfd p{fd_, events, 0};
    const int n = ::poll(&p, 1, static_cast<int>(std::min<std::int64_t>(left.count(), INT_MAX)));
    if (n > 0) return true;
    if (n < 0 && errno != EINTR) return false;
  }
}

// -- TLS ----------------------------------------------------------------------------------------

op_status link_socket::start_tls(ssl_ctx_st& context) {
  ERR_clear_error();
  tls_.reset(SSL_new(&context));
  auto* bio = tls_ ? BIO_new(socket_method()) : nullptr;
  if (!bio) return {op_code::unavailable, "TLS: " + tls_error_text()};
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<std::intptr_t>(fd_)));
  BIO_set_init(bio, 1);
  SSL_set_bio(tls_.get(), bio, bio);
  SSL_set_mode(tls_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return {};
}

template <class Step>
op_status link_socket::shake_hands(Step step, deadline until) {
  for (;;) {
    ERR_clear_error();
    const int n = step();
    if (n > 0) return {};
    const int why = SSL_get_error(tls_.get(), n);
    if (why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE) {
      if (wait(why == SSL_ERROR_WANT_READ ? POLLIN : POLLOUT, until)) continue;
      return {op_code::timed_out, "TLS: no answer in time"};
    }
    const auto verdict = SSL_get_verify_result(tls_.get());
    const auto reason = verdict != X509_V_OK   ? std::string{X509_verify_cert_error_string(verdict)}
                        : why == SSL_ERROR_SSL ? tls_error_text()
                                               : std::string{"the connection ended"};
    return {op_code::unauthorized,
            fmt::format("TLS: {} (all nodes need certificates of the same authority, or none of "
                        "them TLS)",
                        reason)};
  }
}

op_status link_socket::secure_as_client(ssl_ctx_st& context, const std::string& name,
                                        deadline until) {
  if (auto status = start_tls(context); !status.ok()) return status;
  SSL_set1_host(tls_.get(), name.c_str());
  return shake_hands([&] { return SSL_connect(tls_.get()); }, until);
}

op_status link_socket::secure_as_server(ssl_ctx_st& context, deadline until) {
  if (auto status = start_tls(context); !status.ok()) return status;
  return shake_hands([&] { return SSL_accept(tls_.get()); }, until);
}

template <class Step>
op_result<std::size_t> link_socket::tls_step(Step step) {
  std::lock_guard guard{tls_mutex_};
  ERR_clear_error();
  std::size_t done = 0;
  const int n = step(done);
  if (n > 0) return done;
  switch (SSL_get_error(tls_.get(), n)) {
  case SSL_ERROR_WANT_READ:
  case SSL_ERROR_WANT_WRITE:
    return std::size_t{0};
  case SSL_ERROR_ZERO_RETURN:
    return ended("it closed the connection");
  case SSL_ERROR_SSL:
    // By TLS 1.3 a peer that does not like our certificate says so only with the first bytes.
    return op_status{op_code::unauthorized,
                     fmt::format("the peer refuses our certificate, or sends what is no TLS: {} "
                                 "(all nodes need certificates of the same authority, or none of "
                                 "them TLS)",
                                 tls_error_text())};
  default:
    return ended(errno != 0 ? std::strerror(errno) : "it closed the connection");
  }
}

// -- bytes --------------------------------------------------------------------------------------

op_result<std::size_t> link_socket::read_some(std::span<char> to) {
  if (tls_)
    return tls_step(
        [&](std::size_t& n) { return SSL_read_ex(tls_.get(), to.data(), to.size(), &n); });
  const auto n = ::recv(fd_, to.data(), to.size(), 0);
  if (n > 0) return static_cast<std::size_t>(n);
  if (n == 0) return ended("it closed the connection");
  if (errno == EAGAIN || errno == EINTR) return std::size_t{0};
  return ended(std::strerror(errno));
}

op_result<std::size_t> link_socket::write_some(std::span<const char> from) {
  if (tls_)
    return tls_step(
        [&](std::size_t& n) { return SSL_write_ex(tls_.get(), from.data(), from.size(), &n); });
  const auto n = ::send(fd_, from.data(), from.size(), MSG_NOSIGNAL);
  if (n >= 0) return static_cast<std::size_t>(n);
  if (errno == EAGAIN || errno == EINTR) return std::size_t{0};
  return ended(std::strerror(errno));
}

op_status link_socket::read_all(std::span<char> to, deadline until) {
  while (!to.empty()) {
    const auto n = read_some(to);
    if (!n.ok()) return n.status();
    to = to.subspan(*n);
    if (*n == 0 && !wait(POLLIN, until)) return {op_code::timed_out, "nothing came in time"};
  }
  return {};
}

op_status link_socket::write_all(std::span<const char> from, deadline until) {
  while (!from.empty()) {
    const auto n = write_some(from);
    if (!n.ok()) return n.status();
    from = from.subspan(*n);
    if (*n == 0 && !wait(POLLOUT, until)) return {op_code::timed_out, "nothing was taken in time"};
  }
  return {};
}

bool link_socket::holds_more() {
  if (!tls_) return false;
  std::lock_guard guard{tls_mutex_};
  return SSL_has_pending(tls_.get()) == 1;
}

void link_socket::shut_down() {
  if (tls_) {
    std::lock_guard guard{tls_mutex_};
    ERR_clear_error();
    SSL_shutdown(tls_.get());
  }
  ::shutdown(fd_, SHUT_RDWR);
}

std::size_t link_socket::unacknowledged() const {
  int bytes = 0;
  return ::ioctl(fd_, SIOCOUTQ, &bytes) == 0 && bytes > 0 ? static_cast<std::size_t>(bytes) : 0;
}

} // namespace warp::cluster::links
