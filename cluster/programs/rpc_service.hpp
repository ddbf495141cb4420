#pragma once

#include "actors/service.hpp"
#include "actors/universe.hpp"
#include "cluster/programs/universe_admin.hpp"
#include "cluster/programs/universe_gpu.hpp"
#include "cluster/programs/universe_physics.hpp"
#include "cluster/rpc_server.hpp"

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>

namespace warp::programs {

/// The Cap'n Proto port as a service of the supervision tree: a server that is made anew at every
/// start, on the port of the first one. Borrows the universe, which stops its services before it
/// goes.
class rpc_service final : public actors::service {
public:
  rpc_service(cluster::rpc_server_options options, universe& u,
              universe_admin::backup_rules backups)
      : options_(std::move(options)), universe_(u), admin_(u, std::move(backups)), physics_(u),
        gpu_(u) {}

  [[nodiscard]] std::string name() const override { return "rpc"; }
  op_status start() override;
  /// Calls under way have options.drain_max to end, whatever `deadline` says; the universe bounds
  /// the whole.
  void stop(std::chrono::steady_clock::time_point deadline) override;
  [[nodiscard]] op_status health() const override;
  void collect(std::vector<actors::metric>& out) const override;

  /// Valid after the first successful start().
  [[nodiscard]] std::uint16_t port() const;
  /// "127.0.0.1:7400": as configured, with the port that was taken.
  [[nodiscard]] std::string address() const;

private:
  cluster::rpc_server_options options_;
  universe& universe_;
  universe_admin admin_;
  universe_physics physics_;
  universe_gpu gpu_;
  mutable std::mutex
      mutex_; ///< guards the pointer and the port, never held while the server starts or stops
  std::unique_ptr<cluster::rpc_server> server_;
  std::uint16_t port_ = 0;
};

} // namespace warp::programs
