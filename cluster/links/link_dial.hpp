#pragma once

#include "cluster/links/link_socket.hpp"
#include "cluster/links/peer_address.hpp"
#include "cluster/links/tls_files.hpp"
#include "messages/status.hpp"

#include <chrono>
#include <memory>
#include <optional>

namespace warp::cluster::links {

struct dialled {
  op_status status;
  /// Nobody listens there, says the machine itself: the process has ended.
  bool refused = false;
  std::unique_ptr<link_socket> socket; ///< where status is ok
};

/// Connects to a node: by TCP, by TLS where files are given, and until it has greeted, all within
/// `bound` (but for the look-up of a name, which takes as long as the resolver takes). The sentence
/// of a failure says what to do next. Blocks; any thread.
[[nodiscard]] dialled dial(const peer_address& address, const std::optional<tls_files>& tls,
                           std::chrono::milliseconds bound);

} // namespace warp::cluster::links
