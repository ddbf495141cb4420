#pragma once

#include "cluster/links/peer_address.hpp"
#include "cluster/links/tls_files.hpp"
#include "messages/status.hpp"

#include <chrono>
#include <cstddef>
#include <optional>

namespace warp::cluster::links {

struct link_options {
  peer_address listen{"127.0.0.1", 0}; ///< port 0: a free one; without TLS: a private network
  std::optional<tls_files> tls;        ///< none: no TLS

  /// Between two signs of life; the same on all nodes.
  std::chrono::milliseconds heartbeat{200};
  /// After so long without one a peer is lost; at least 4 heartbeats.
  std::chrono::milliseconds silence_max{2'000};
  /// A connection has to answer within.
  std::chrono::milliseconds dial_max{1'000};
  /// Between two tries: doubles from the first to the second, each drawn between half and all of
  /// it.
  std::chrono::milliseconds retry_min{50}, retry_max{2'000};

  /// Threads that receive, shared by all links; 0: as many as suit this machine.
  unsigned threads = 0;
  /// An envelope gathers so much before it is sent, where so much waits (I12).
  std::size_t batch_bytes = 256u << 10;
  /// Waits to be sent to one peer; beyond it there is `overloaded`.
  std::size_t outbox_bytes = 16u << 20;
  /// The longest envelope that is taken: a record of the longest value.
  std::size_t envelope_bytes_max = 576u << 20;
};

/// invalid_argument: names the option that makes no sense.
op_status check(const link_options& options);

} // namespace warp::cluster::links
