#pragma once

#include "actors/service.hpp"
#include "actors/universe.hpp"

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

namespace warp::cluster {

struct http_server_options {
  std::string listen =
      "127.0.0.1:7480"; ///< "host:port"; port 0: a free one, kept over restarts of the service
  std::uint32_t connections_max = 64; ///< one more is closed at once and counted
  std::chrono::milliseconds header_timeout{
      10'000}; ///< for a request's head, which is 128 KiB long at most
  std::chrono::milliseconds response_timeout{
      30'000}; ///< for handing out an answer; then the connection is closed
};

/// What the pages show. Called on the server's thread, one at a time; must not block for long.
struct http_answers {
  std::function<std::string()> metrics; ///< Prometheus text
  std::function<health_summary()> health;
};

/// The HTTP port, on a thread of its own. GET and HEAD of
///
///   /metrics  200, Prometheus text format 0.0.4
///   /livez    200 as long as the process answers at all
///   /readyz   200 when reads and writes are taken, else 503 with the reasons, a line each
///   /healthz  JSON with status (ok, degraded, not ready), ready and problems; 200 for ok, else 503
///
/// Other paths 404, other methods 405; a head that is too long or late ends the connection. No
/// answer is for caches.
class http_server final : public actors::service {
public:
  http_server(http_server_options options, http_answers answers);
  ~http_server() override;

  [[nodiscard]] std::string name() const override { return "http"; }
  /// Codes of listen_socket::open. Ok without doing anything when it runs already: the program
  /// starts it before recovery, so that /livez and /readyz answer meanwhile, and hands it to the
  /// universe afterwards.
  op_status start() override;
  void stop(std::chrono::steady_clock::time_point deadline) override;
  [[nodiscard]] op_status health() const override;
  void collect(std::vector<actors::metric>& out) const override;

  /// Where it listens, with the real port; valid after the first successful start().
  [[nodiscard]] const std::string& address() const noexcept { return address_; }
  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

private:
  struct counters {
    std::atomic<std::uint64_t> requests{0}, failures{0}, connections{0}, refused{0};
    std::atomic<std::uint64_t> open{0};
  };
  struct loop; // what the thread runs; in http_server.cpp with all of KJ

  http_server_options options_;
  http_answers answers_;
  counters counters_;
  std::atomic<bool> running_{false};
  std::string address_;
  std::uint16_t port_ = 0;
  std::unique_ptr<loop> loop_;
};

} // namespace warp::cluster
