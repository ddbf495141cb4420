#include "cluster/programs/rpc_service.hpp"

#include "cluster/config_units.hpp"

#include <fmt/format.h>

namespace warp::programs {

op_status rpc_service::start() {
  auto options = options_;
  options.physics = &physics_;
  options.gpu = &gpu_;
  // A restart: clients know the port of the first start.
  if (port_ != 0) options.listen = address();
  auto server = cluster::rpc_server::start(std::move(options), universe_.engine(), &admin_);
  if (!server) return server.status();
  std::lock_guard guard{mutex_};
  server_ = std::move(*server);
  port_ = server_->port();
  return {};
}

void rpc_service::stop(std::chrono::steady_clock::time_point) {
  std::unique_ptr<cluster::rpc_server> ending;
  {
    std::lock_guard guard{mutex_};
    ending = std::move(server_);
  }
  if (ending) ending->stop();
}

op_status rpc_service::health() const {
  std::lock_guard guard{mutex_};
  if (server_) return {};
  return {op_code::unavailable, "the RPC port is closed"};
}

std::uint16_t rpc_service::port() const {
  std::lock_guard guard{mutex_};
  return port_;
}

std::string rpc_service::address() const {
  const auto at = cluster::parse_address(options_.listen);
  const bool v6 = at->host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", at->host, v6 ? "]" : "", port());
}

void rpc_service::collect(std::vector<actors::metric>& out) const {
  using kind = actors::metric::kind;
  std::lock_guard guard{mutex_};
  if (!server_) return;
  const auto& c = server_->counters();
  const auto add = [&](const char* name, const char* help, kind type,
                       const std::atomic<std::uint64_t>& count) {
    out.push_back(
        {name, help, type, {{{}, static_cast<double>(count.load(std::memory_order_relaxed))}}});
  };
  add("warp_rpc_connections", "RPC connections now.", kind::gauge, c.connections_open);
  add("warp_rpc_connections_opened_total", "RPC connections accepted since start.", kind::counter,
      c.connections_opened);
  add("warp_rpc_connections_refused_total",
      "RPC connections refused because of rpc.connections_max.", kind::counter,
      c.connections_refused);
  add("warp_rpc_connections_dropped_total",
      "RPC connections ended for a malformed, oversized or stalled stream, or no login.",
      kind::counter, c.connections_dropped);
  add("warp_rpc_slow_consumers_dropped_total", "Of those, ended for answers left unread.",
      kind::counter, c.slow_consumers_dropped);
  add("warp_rpc_logins_refused_total", "Logins refused.", kind::counter, c.logins_refused);
  add("warp_rpc_calls_refused_total", "RPC calls refused because of rpc.waiting_calls_max.",
      kind::counter, c.calls_refused);
  add("warp_rpc_calls_total", "RPC calls.", kind::counter, c.calls);
  add("warp_rpc_operations_total", "Operations in RPC calls.", kind::counter, c.operations);
  add("warp_rpc_errors_total", "Operations and calls answered with a failure.", kind::counter,
      c.errors);
  add("warp_rpc_received_bytes_total", "Bytes received by RPC.", kind::counter, c.bytes_received);
  add("warp_rpc_sent_bytes_total", "Bytes sent by RPC.", kind::counter, c.bytes_sent);
  add("warp_rpc_waiting_durable", "RPC calls that wait for the disk now.", kind::gauge,
      c.waiting_durable);
}

} // namespace warp::programs
