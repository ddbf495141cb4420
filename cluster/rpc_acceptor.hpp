#pragma once

#include "cluster/kj_loop.hpp"
#include "cluster/listen_socket.hpp"

#include <chrono>
#include <functional>
#include <kj/async-unix.h>
#include <string>

namespace warp::cluster {

/// Takes the connections that arrive at one listening socket. Built, used and destroyed on one
/// loop's thread.
class rpc_acceptor {
public:
  /// What becomes of a connection: `socket` is non-blocking and close-on-exec, and the callee's
  /// now; `peer`: its address, for logs.
  using taker = std::function<void(int socket, std::string peer)>;

  /// Begins at once. Borrows the loop.
  rpc_acceptor(kj_loop& loop, listen_socket socket, taker take);
  rpc_acceptor(const rpc_acceptor&) = delete;
  rpc_acceptor& operator=(const rpc_acceptor&) = delete;

private:
  kj::Promise<void> accept();

  kj_loop& loop_;
  listen_socket socket_;
  taker take_;
  std::chrono::steady_clock::time_point tell_again_at_{};
  kj::UnixEventPort::FdObserver observer_;
  kj::Promise<void> accepting_; // last: uses all of the above
};

} // namespace warp::cluster
