#pragma once

#include "messages/status.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace warp::cluster::etcd {

/// How a client reaches etcd. Times are of this process's steady clock.
struct connection_options {
  /// "http://host:port" or "https://host:port", all of one etcd cluster, at least one.
  std::vector<std::string> endpoints;
  /// PEM files, for https only. Empty: the certificates that the system trusts.
  std::string ca_file;
  /// What this side shows, both or none.
  std::string cert_file;
  std::string key_file;
  std::chrono::milliseconds connect_timeout{1'000}; ///< TCP and TLS, > 0
  /// After a failure an endpoint is left alone for a random part of this, doubled by each further
  /// one up to the other, > 0.
  std::chrono::milliseconds backoff_min{50};
  std::chrono::milliseconds backoff_max{1'000};
};

struct client_options {
  connection_options connection;
  /// Of one attempt of a request that may be made again, > 0.
  std::chrono::milliseconds attempt_timeout{1'000};
  /// Of a request with all its attempts and its time in the queue, >= attempt_timeout.
  std::chrono::milliseconds request_timeout{3'000};
  std::size_t in_flight_max = 16;           ///< requests on their way at once, 1 to 256
  std::size_t queue_max = 1'024;            ///< requests that wait or are on their way, >= 1
  std::size_t answer_bytes_max = 16u << 20; ///< a longer answer is cut off and refused
};

/// Checks everything that can be checked without a network: the form of endpoints, that TLS files
/// belong to https and can be read. invalid_argument with the name of the setting.
[[nodiscard]] op_status check(const connection_options& options);
[[nodiscard]] op_status check(const client_options& options);

} // namespace warp::cluster::etcd
