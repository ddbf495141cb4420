#pragma once

#include "actors/service.hpp"
#include "actors/universe.hpp"
#include "cluster/programs/universe_physics.hpp"
#include "cluster/resp_server.hpp"

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace warp::programs {

/// The port for Redis clients as a service of the supervision tree: a server that is made anew at
/// every start, on the port of the first one, and a thread that writes the checkpoints which
/// clients ask for. Borrows the universe, which stops its services before it goes.
class resp_service final : public actors::service {
public:
  resp_service(cluster::resp_server_options options, universe& u);
  ~resp_service() override;

  [[nodiscard]] std::string name() const override { return "resp"; }
  op_status start() override;
  void stop(std::chrono::steady_clock::time_point deadline) override;
  [[nodiscard]] op_status health() const override;
  void collect(std::vector<actors::metric>& out) const override;

  /// Valid after the first successful start().
  [[nodiscard]] std::uint16_t port() const;
  [[nodiscard]] std::string address() const;

private:
  using checkpoint_done = std::function<void(op_status)>;
  void write_checkpoints();

  cluster::resp_server_options options_;
  universe& universe_;
  universe_physics physics_;
  mutable std::mutex mutex_; ///< never held while the server starts or stops, or a checkpoint is
                             ///< written
  std::unique_ptr<cluster::resp_server> server_;
  std::uint16_t port_ = 0;
  std::condition_variable ordered_;
  checkpoint_done order_; ///< of the checkpoint that is to be written
  bool over_ = false;
  std::thread checkpoints_;
};

} // namespace warp::programs
