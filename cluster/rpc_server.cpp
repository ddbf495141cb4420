#include "cluster/rpc_server.hpp"

#include "cluster/listen_socket.hpp"
#include "cluster/rpc_io_thread.hpp"

#include <arpa/inet.h>
#include <cerrno>
#include <cstring>
#include <future>
#include <mutex>
#include <netinet/in.h>
#include <optional>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace warp::cluster {

namespace {

/// How long accepting rests when the process has no descriptor left.
constexpr auto accept_pause = 100 * kj::MILLISECONDS;

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

struct rpc_server::state {
  state(rpc_server_options o, storage::engine& engine, admin_backend* admin, listen_socket s)
      : options(std::move(o)), socket(std::move(s)), port(socket->port()), admin_jobs("rpc-admin") {
    const rpc_shared shared{engine,  admin,    admin_jobs,
                            options, counters, std::chrono::steady_clock::now()};
    for (std::size_t i = 0; i < options.threads; ++i)
      threads.push_back(std::make_unique<rpc_io_thread>(shared, i));
    auto& loop = threads[0]->loop();
    loop.post([this, &loop] {
      observer.emplace(loop.io().unixEventPort, socket->fd(),
                       kj::UnixEventPort::FdObserver::OBSERVE_READ);
      accepting.emplace(accept(loop).eagerlyEvaluate([](kj::Exception&& e) {
        spdlog::error("rpc: accepting ended: {}", e.getDescription().cStr());
      }));
    });
  }

  /// Takes all connections that wait, then waits for the next one.
  kj::Promise<void> accept(kj_loop& loop) {
    for (;;) {
      sockaddr_storage address{};
      socklen_t size = sizeof address;
      const int fd = ::accept4(socket->fd(), reinterpret_cast<sockaddr*>(&address), &size,
                               SOCK_NONBLOCK | SOCK_CLOEXEC);
      if (fd >= 0) {
        deal(fd, text_of(address));
        continue;
      }
      switch (errno) {
      case EAGAIN:
        return observer->whenBecomesReadable().then([this, &loop] { return accept(loop); });
      case EINTR:
      case ECONNABORTED:
        continue;
      default:
        // No descriptors, no memory: whoever waits in the queue is served when some are free again.
        spdlog::warn("rpc: cannot accept a connection: {}", std::strerror(errno));
        return loop.timer().afterDelay(accept_pause).then([this, &loop] { return accept(loop); });
      }
    }
  }

  void deal(int fd, std::string peer) {
    if (counters.connections_open.load(std::memory_order_relaxed) >= options.connections_max) {
      counters.connections_refused.fetch_add(1, std::memory_order_relaxed);
      ::close(fd);
      return;
    }
    counters.connections_open.fetch_add(1, std::memory_order_relaxed);
    threads[next++ % threads.size()]->adopt(fd, std::move(peer));
  }

  void stop() {
    std::call_once(stopped, [this] {
      // Accepting ends on its loop, before that loop drains; after it nothing is dealt out any
      // more.
      std::promise<void> closed;
      threads[0]->loop().post([this, &closed] {
        accepting.reset();
        observer.reset();
        socket.reset();
        closed.set_value();
      });
      closed.get_future().wait();
      for (auto& t : threads) t->drain();
      for (auto& t : threads) t->join();
      admin_jobs.stop();
      counters.connections_open.store(0, std::memory_order_relaxed);
    });
  }

  const rpc_server_options options;
  rpc_counters counters;
  std::optional<listen_socket> socket;
  const std::uint16_t port;
  job_thread admin_jobs;
  std::once_flag stopped;
  std::vector<std::unique_ptr<rpc_io_thread>> threads;

  // On the first thread's loop.
  std::size_t next = 0;
  std::optional<kj::UnixEventPort::FdObserver> observer;
  std::optional<kj::Promise<void>> accepting;
};

rpc_server::rpc_server(std::unique_ptr<state> s) : state_(std::move(s)) {}

rpc_server::~rpc_server() {
  stop();
}

op_result<std::unique_ptr<rpc_server>>
rpc_server::start(rpc_server_options options, storage::engine& engine, admin_backend* admin) {
  if (options.threads == 0)
    return op_status{op_code::invalid_argument, "the RPC server needs at least one I/O thread"};
  auto socket = listen_socket::open(options.listen, "rpc.listen");
  if (!socket) return socket.status();
  return std::unique_ptr<rpc_server>{new rpc_server{
      std::make_unique<state>(std::move(options), engine, admin, std::move(*socket))}};
}

std::uint16_t rpc_server::port() const noexcept {
  return state_->port;
}

const rpc_counters& rpc_server::counters() const noexcept {
  return state_->counters;
}

void rpc_server::stop() {
  state_->stop();
}

} // namespace warp::cluster
