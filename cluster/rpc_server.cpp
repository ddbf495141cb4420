#include "cluster/rpc_server.hpp"

#include "cluster/descriptors.hpp"
#include "cluster/listen_socket.hpp"
#include "cluster/rpc_acceptor.hpp"
#include "cluster/rpc_io_thread.hpp"
#include "storage/cpu_list.hpp"

#include <algorithm>
#include <memory>
#include <mutex>
#include <optional>
#include <spdlog/spdlog.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace warp::cluster {

void rpc_counters::add(const rpc_counters& other) noexcept {
  const auto add_one = [&](std::atomic<std::uint64_t> rpc_counters::*counter) {
    (this->*counter)
        .fetch_add((other.*counter).load(std::memory_order_relaxed), std::memory_order_relaxed);
  };
  for (const auto counter :
       {&rpc_counters::connections_opened, &rpc_counters::connections_open,
        &rpc_counters::connections_refused, &rpc_counters::connections_dropped,
        &rpc_counters::slow_consumers_dropped, &rpc_counters::logins_refused,
        &rpc_counters::calls_refused, &rpc_counters::calls, &rpc_counters::operations,
        &rpc_counters::errors, &rpc_counters::bytes_received, &rpc_counters::bytes_sent,
        &rpc_counters::waiting_durable})
    add_one(counter);
}

struct rpc_server::state {
  state(rpc_server_options o, storage::engine& engine, admin_backend* admin, std::uint16_t on_port)
      : options(std::move(o)), port(on_port), admin_jobs("rpc-admin") {
    const rpc_shared shared{
        engine, admin, admin_jobs, options, connections_open, std::chrono::steady_clock::now()};
    const auto cpus = storage::parse_cpu_list(options.cpus);
    for (std::size_t i = 0; i < options.threads; ++i)
      threads.push_back(std::make_unique<rpc_io_thread>(
          shared, i,
          cpus && !cpus->empty() ? std::optional{(*cpus)[i % cpus->size()]} : std::nullopt));
  }

  /// Accepts on as many threads as the kernel has sockets for.
  void listen(listen_socket first) {
    std::vector<listen_socket> sockets;
    sockets.push_back(std::move(first));
    const auto wanted = options.listeners_max == 0
                            ? threads.size()
                            : std::min(options.listeners_max, threads.size());
    while (sockets.size() < wanted) {
      auto beside = listen_socket::open_beside(sockets.front());
      if (!beside) {
        spdlog::info("rpc: {}: {} of {} threads accept connections, for all",
                     beside.status().message(), sockets.size(), threads.size());
        break;
      }
      sockets.push_back(std::move(*beside));
    }
    acceptors.resize(sockets.size());
    for (std::size_t i = 0; i < sockets.size(); ++i)
      threads[i]->loop().call([&, i] {
        acceptors[i] = std::make_unique<rpc_acceptor>(
            threads[i]->loop(), std::move(sockets[i]),
            [this, i](int fd, std::string peer) { deal(i, fd, std::move(peer)); });
      });
  }

  /// On the loop of thread `from`, as on those of others at the same time.
  void deal(std::size_t from, int fd, std::string peer) {
    auto open = connections_open.load(std::memory_order_relaxed);
    do {
      if (open >= options.connections_max || !may_keep_connection(fd)) {
        threads[from]->counters().connections_refused.fetch_add(1, std::memory_order_relaxed);
        ::close(fd);
        return;
      }
    } while (!connections_open.compare_exchange_weak(open, open + 1, std::memory_order_relaxed));
    // The kernel spreads connections by a hash: a few busy ones could well share a thread while
    // another one idles.
    auto* to = threads[from].get();
    for (auto& t : threads)
      if (t->connections() < to->connections()) to = t.get();
    to->adopt(fd, std::move(peer));
  }

  void stop() {
    std::call_once(stopped, [this] {
      // Accepting ends on all loops before one of them drains; after it nothing is dealt out any
      // more.
      for (std::size_t i = 0; i < acceptors.size(); ++i)
        threads[i]->loop().call([this, i] { acceptors[i].reset(); });
      for (auto& t : threads) t->drain();
      for (auto& t : threads) t->join();
      admin_jobs.stop();
      connections_open.store(0, std::memory_order_relaxed);
    });
  }

  const rpc_server_options options;
  const std::uint16_t port;
  std::atomic<std::size_t> connections_open{0}; // the exact number: all threads change it
  job_thread admin_jobs;
  std::once_flag stopped;
  std::vector<std::unique_ptr<rpc_io_thread>> threads;
  std::vector<std::unique_ptr<rpc_acceptor>> acceptors; // each on its thread's loop
};

rpc_server::rpc_server(std::unique_ptr<state> s) : state_(std::move(s)) {}

rpc_server::~rpc_server() {
  stop();
}

std::size_t rpc_server::threads_for(std::size_t cores) noexcept {
  return std::clamp<std::size_t>(cores / 4, 1, 16);
}

op_status rpc_server::check(const rpc_server_options& options) {
  if (options.threads == 0)
    return {op_code::invalid_argument, "the RPC server needs at least one I/O thread"};
  const auto cpus = storage::parse_cpu_list(options.cpus);
  op_status status = cpus.status();
  if (cpus && !cpus->empty())
    std::thread([&] { // one of its own, since trying means moving
      for (const int& cpu : *cpus)
        if (status.ok()) status = storage::pin_this_thread({&cpu, 1});
    })
        .join();
  if (status.ok()) return {};
  return {status.code(), "rpc.cpus: " + status.message()};
}

op_result<std::unique_ptr<rpc_server>>
rpc_server::start(rpc_server_options options, storage::engine& engine, admin_backend* admin) {
  if (auto status = check(options); !status.ok()) return status;
  auto socket = listen_socket::open(options.listen, "rpc.listen");
  if (!socket) return socket.status();
  std::unique_ptr<rpc_server> server{
      new rpc_server{std::make_unique<state>(std::move(options), engine, admin, socket->port())}};
  server->state_->listen(std::move(*socket));
  return server;
}

std::uint16_t rpc_server::port() const noexcept {
  return state_->port;
}

rpc_counters rpc_server::counters() const noexcept {
  rpc_counters sum;
  for (auto& t : state_->threads) sum.add(t->counters());
  sum.connections_open.store(state_->connections_open.load(std::memory_order_relaxed),
                             std::memory_order_relaxed);
  return sum;
}

std::vector<std::size_t> rpc_server::connections_by_thread() const {
  std::vector<std::size_t> counts;
  for (auto& t : state_->threads) counts.push_back(t->connections());
  return counts;
}

void rpc_server::stop() {
  state_->stop();
}

} // namespace warp::cluster
