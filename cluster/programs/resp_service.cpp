#include "cluster/programs/resp_service.hpp"

#include "cluster/config_units.hpp"

#include <fmt/format.h>
#include <system_error>
#include <utility>

namespace warp::programs {

resp_service::resp_service(cluster::resp_server_options options, universe& u)
    : options_(std::move(options)), universe_(u), physics_(u) {
  if (universe_.engine().options().folder.empty()) return;
  options_.checkpoint = [this](checkpoint_done done) {
    std::lock_guard guard{mutex_};
    order_ = std::move(done);
    ordered_.notify_one();
  };
}

resp_service::~resp_service() {
  stop({});
}

op_status resp_service::start() {
  auto options = options_;
  options.physics = &physics_;
  // A restart: clients know the port of the first start.
  if (port_ != 0) options.listen = address();
  auto server = cluster::resp_server::start(std::move(options), universe_.engine());
  if (!server) return server.status();
  std::lock_guard guard{mutex_};
  over_ = false;
  try {
    checkpoints_ = std::thread([this] { write_checkpoints(); });
  } catch (const std::system_error& e) {
    return {op_code::io_error, fmt::format("cannot start a thread for SAVE: {}", e.what())};
  }
  server_ = std::move(*server);
  port_ = server_->port();
  return {};
}

void resp_service::stop(std::chrono::steady_clock::time_point) {
  std::unique_ptr<cluster::resp_server> ending;
  {
    std::lock_guard guard{mutex_};
    ending = std::move(server_);
    over_ = true;
    ordered_.notify_one();
  }
  // The server outlives the checkpoint that is to be reported to it.
  if (checkpoints_.joinable()) checkpoints_.join();
  if (ending) ending->stop();
}

void resp_service::write_checkpoints() {
  for (;;) {
    checkpoint_done done;
    {
      std::unique_lock lock{mutex_};
      ordered_.wait(lock, [this] { return over_ || order_; });
      if (over_) return;
      done = std::exchange(order_, {});
    }
    done(universe_.checkpoint());
  }
}

op_status resp_service::health() const {
  std::lock_guard guard{mutex_};
  if (server_) return {};
  return {op_code::unavailable, "the RESP port is closed"};
}

std::uint16_t resp_service::port() const {
  std::lock_guard guard{mutex_};
  return port_;
}

std::string resp_service::address() const {
  const auto at = cluster::parse_address(options_.listen);
  const bool v6 = at->host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", at->host, v6 ? "]" : "", port());
}

void resp_service::collect(std::vector<actors::metric>& out) const {
  using kind = actors::metric::kind;
  std::lock_guard guard{mutex_};
  if (!server_) return;
  const auto c = server_->counters();
  const auto add = [&](const char* name, const char* help, kind type,
                       const std::atomic<std::uint64_t>& count) {
    out.push_back(
        {name, help, type, {{{}, static_cast<double>(count.load(std::memory_order_relaxed))}}});
  };
  add("warp_resp_connections", "RESP connections now.", kind::gauge, c.connections_open);
  add("warp_resp_connections_opened_total", "RESP connections accepted since start.", kind::counter,
      c.connections_opened);
  add("warp_resp_connections_refused_total",
      "RESP connections refused because of resp.connections_max.", kind::counter,
      c.connections_refused);
  add("warp_resp_connections_dropped_total",
      "RESP connections ended for a broken protocol or a limit.", kind::counter,
      c.connections_dropped);
  add("warp_resp_slow_consumers_dropped_total", "RESP connections ended for answers left unread.",
      kind::counter, c.slow_consumers_dropped);
  add("warp_resp_commands_total", "RESP commands.", kind::counter, c.commands);
  add("warp_resp_errors_total", "RESP commands answered with an error.", kind::counter, c.errors);
  add("warp_resp_received_bytes_total", "Bytes received by RESP.", kind::counter, c.bytes_received);
  add("warp_resp_sent_bytes_total", "Bytes sent by RESP.", kind::counter, c.bytes_sent);
  add("warp_resp_waiting_durable", "RESP answers that wait for the disk now.", kind::gauge,
      c.waiting_durable);
  add("warp_resp_transactions_total", "EXEC that was carried out.", kind::counter, c.transactions);
  add("warp_resp_transactions_aborted_total", "EXEC that a watched key stopped.", kind::counter,
      c.transactions_aborted);
  add("warp_resp_messages_published_total", "Messages of PUBLISH and SPUBLISH.", kind::counter,
      c.published);
}

} // namespace warp::programs
