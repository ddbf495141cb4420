#pragma once

#include <cstdint>
#include <fmt/format.h>
#include <string>

namespace warp::cluster::links {

/// Where a node listens for others.
struct peer_address {
  std::string host; ///< a name or an address
  std::uint16_t port = 0;

  friend bool operator==(const peer_address&, const peer_address&) = default;
};

/// "10.0.0.2:7500", "[::1]:7500"
[[nodiscard]] inline std::string to_string(const peer_address& address) {
  return address.host.find(':') == std::string::npos
             ? fmt::format("{}:{}", address.host, address.port)
             : fmt::format("[{}]:{}", address.host, address.port);
}

} // namespace warp::cluster::links
