#include "cluster/resp_server.hpp"

#include "cluster/listen_socket.hpp"
#include "cluster/resp_io_thread.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <mutex>
#include <spdlog/spdlog.h>
#include <system_error>

namespace warp::cluster {

void resp_counters::add(const resp_counters& other) noexcept {
  for (const auto counter :
       {&resp_counters::connections_opened, &resp_counters::connections_open,
        &resp_counters::connections_refused, &resp_counters::connections_dropped,
        &resp_counters::slow_consumers_dropped, &resp_counters::commands, &resp_counters::errors,
        &resp_counters::bytes_received, &resp_counters::bytes_sent, &resp_counters::waiting_durable,
        &resp_counters::transactions, &resp_counters::transactions_aborted,
        &resp_counters::published, &resp_counters::hits, &resp_counters::misses})
    (this->*counter)
        .fetch_add((other.*counter).load(std::memory_order_relaxed), std::memory_order_relaxed);
}

struct resp_server::state {
  state(resp_server_options options, storage::engine& engine, std::uint16_t port)
      : shared(std::move(options), engine, port) {
    for (std::size_t i = 0; i < shared.options.threads; ++i)
      shared.threads.push_back(std::make_unique<resp_io_thread>(shared, i));
  }

  /// Listens on as many threads as the kernel has sockets for.
  void listen(listen_socket first) {
    std::vector<listen_socket> more;
    while (more.size() + 1 < shared.threads.size()) {
      auto beside = listen_socket::open_beside(first);
      if (!beside) {
        spdlog::info("resp: {}: {} of {} threads accept connections, for all",
                     beside.status().message(), more.size() + 1, shared.threads.size());
        break;
      }
      more.push_back(std::move(*beside));
    }
    shared.threads[0]->start(std::move(first));
    for (std::size_t i = 1; i < shared.threads.size(); ++i)
      shared.threads[i]->start(i <= more.size() ? std::optional{std::move(more[i - 1])}
                                                : std::nullopt);
  }

  void stop() {
    std::call_once(stopped, [this] {
      // Nothing is dealt out any more when the first one drains.
      for (auto& t : shared.threads) t->stop_listening();
      for (auto& t : shared.threads) t->begin_drain();
      for (auto& t : shared.threads) t->join();
    });
  }

  resp_shared shared;
  std::once_flag stopped;
};

resp_server::resp_server(std::unique_ptr<state> s) : state_(std::move(s)) {}

resp_server::~resp_server() {
  stop();
}

std::size_t resp_server::threads_for(std::size_t cores) noexcept {
  return std::clamp<std::size_t>(cores / 4, 1, 16);
}

op_result<std::unique_ptr<resp_server>> resp_server::start(resp_server_options options,
                                                           storage::engine& engine) {
  if (options.threads == 0)
    return op_status(op_code::invalid_argument, "the RESP server needs at least one I/O thread");
  const auto most = engine.options().folder.empty() ? durability::memory
                    : options.cluster != nullptr    ? durability::durable
                                                    : durability::sync;
  if (options.level > most)
    return op_status(op_code::invalid_argument,
                     "resp.durability asks for more than this universe can give: it has no log, or "
                     "one node only");
  auto socket = listen_socket::open(options.listen, "resp.listen");
  if (!socket) return socket.status();
  try {
    std::unique_ptr<resp_server> server{
        new resp_server{std::make_unique<state>(std::move(options), engine, socket->port())}};
    server->state_->listen(std::move(*socket));
    return server;
  } catch (const std::system_error& e) {
    return op_status(op_code::io_error, fmt::format("cannot start the RESP server: {}", e.what()));
  }
}

std::uint16_t resp_server::port() const noexcept {
  return state_->shared.port;
}

resp_counters resp_server::counters() const noexcept {
  resp_counters sum;
  for (auto& t : state_->shared.threads) sum.add(t->counters());
  sum.connections_open.store(state_->shared.connections_open.load(std::memory_order_relaxed),
                             std::memory_order_relaxed);
  return sum;
}

std::vector<std::size_t> resp_server::connections_by_thread() const {
  std::vector<std::size_t> counts;
  for (auto& t : state_->shared.threads) counts.push_back(t->connections());
  return counts;
}

void resp_server::stop() {
  state_->stop();
}

} // namespace warp::cluster
