#pragma once

#include "cluster/links/tls_files.hpp"
#include "messages/status.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

namespace warp::cluster::links {

struct peer_address {
  std::string host; ///< a name or an address
  std::uint16_t port = 0;

  friend bool operator==(const peer_address&, const peer_address&) = default;
};

/// "10.0.0.2:7500", "[::1]:7500"
[[nodiscard]] std::string to_string(const peer_address& address);

struct probe_result {
  op_status status;
  /// Nobody listens there, says the machine itself: the process has ended.
  bool refused = false;
};

/// Whether a node answers at an address: connects, shakes hands by TLS where files are given, and
/// waits for the first byte that any node sends, all within `bound` (but for the look-up of a name,
/// which takes as long as the resolver takes). The sentence of a failure says what to do next.
///
/// CAF connects without a bound, one after the other, and says of a certificate only that the
/// connection ended; so a link looks here first. Blocks; any thread.
probe_result probe(const peer_address& address, const std::optional<tls_files>& tls,
                   std::chrono::milliseconds bound);

} // namespace warp::cluster::links
