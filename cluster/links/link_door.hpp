#pragma once

#include "cluster/links/network_core.hpp"
#include "cluster/listen_socket.hpp"

#include <caf/actor_addr.hpp>

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <set>
#include <thread>

namespace warp::cluster::links {

class link_socket;

/// Listens for other nodes: greets whoever connects, judges who says hello, and hands a peer over
/// to the link of its id. One connection after the other is accepted, and each shakes hands on a
/// thread of its own, within link_options::dial_max; so many at a time, then others wait.
class link_door {
public:
  /// `agent` is told when nothing can be accepted any more. Codes: those of listen_socket, and
  /// invalid_argument for TLS files that cannot be used.
  static op_result<std::unique_ptr<link_door>> open(network_core& core, std::uint16_t port,
                                                    caf::actor_addr agent);
  /// Nobody is let in any more when it returns; whoever shakes hands is sent away.
  ~link_door();
  link_door(const link_door&) = delete;
  link_door& operator=(const link_door&) = delete;

  [[nodiscard]] std::uint16_t port() const { return listener_.port(); }

private:
  link_door(network_core& core, listen_socket listener, int wake, caf::actor_addr agent);
  void run();
  void receive(int fd);
  void shake_hands(std::unique_ptr<link_socket> socket);
  [[nodiscard]] op_status meet(std::unique_ptr<link_socket>& socket);

  network_core& core_;
  listen_socket listener_;
  const int wake_;
  const caf::actor_addr agent_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::set<link_socket*> guests_; ///< who shakes hands and is still ours
  std::size_t threads_ = 0;       ///< that shake hands
  bool closed_ = false;
  std::thread thread_;
};

} // namespace warp::cluster::links
