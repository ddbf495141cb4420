#pragma once

#include "cluster/config.hpp"
#include "cluster/node/cluster_node.hpp"

#include <cstdint>
#include <string>

namespace warp::programs {

/// What the configuration says of the cluster; its name is not empty.
[[nodiscard]] cluster::cluster_node_options cluster_options_of(const cluster::server_config& c);
/// Under which address clients of other machines find a port of this node: that it listens on, with
/// the host that is advertised.
[[nodiscard]] std::string advertised(const cluster::server_config& c, const std::string& listen,
                                     std::uint16_t port);

} // namespace warp::programs
