#pragma once

#include "cluster/links/tls_files.hpp"
#include "messages/status.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <span>

extern "C" struct ssl_st; // OpenSSL's SSL

namespace warp::cluster::links {

/// One TCP connection between two nodes, encrypted where it was given a context. It does not block;
/// closed when destroyed, never by anything else, so that its descriptor stays its own.
///
/// One thread may read and another one write at a time; shut_down() and unacknowledged() any
/// thread. A connection that breaks is an error, never a signal.
class link_socket {
public:
  using deadline = std::chrono::steady_clock::time_point;

  /// Takes a connected, non-blocking descriptor.
  explicit link_socket(int fd);
  ~link_socket();
  link_socket(const link_socket&) = delete;
  link_socket& operator=(const link_socket&) = delete;

  /// TLS over this connection, before anything else goes over it; as client, `name` must be among
  /// those of the peer's certificate. unauthorized: why they do not trust each other; timed_out.
  op_status secure_as_client(ssl_ctx_st& context, const std::string& name, deadline until);
  op_status secure_as_server(ssl_ctx_st& context, deadline until);

  /// How many bytes came; 0: nothing now. unavailable: the connection has ended, and why.
  op_result<std::size_t> read_some(std::span<char> to);
  /// How many bytes went; 0: there is no room now.
  op_result<std::size_t> write_some(std::span<const char> from);
  /// All of them, or timed_out.
  op_status read_all(std::span<char> to, deadline until);
  op_status write_all(std::span<const char> from, deadline until);

  /// Waits until the descriptor is ready for these events of poll(), has failed, or (false) the
  /// time is up.
  [[nodiscard]] bool wait(short events, deadline until) const;
  /// Are there bytes that TLS has decrypted and nobody has read? The descriptor does not show them.
  [[nodiscard]] bool holds_more();
  /// Both sides read the end from now on. With TLS its end is announced.
  void shut_down();
  /// Bytes written that the peer's machine has not acknowledged.
  [[nodiscard]] std::size_t unacknowledged() const;
  [[nodiscard]] int fd() const { return fd_; }

private:
  struct free_tls {
    void operator()(ssl_st* tls) const noexcept;
  };

  op_status start_tls(ssl_ctx_st& context);
  template <class Step>
  op_status shake_hands(Step step, deadline until);
  template <class Step>
  op_result<std::size_t> tls_step(Step step);

  int fd_;
  std::mutex tls_mutex_; ///< OpenSSL reads and writes on one thread at a time
  std::unique_ptr<ssl_st, free_tls> tls_;
};

} // namespace warp::cluster::links
