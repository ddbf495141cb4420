#pragma once

#include "actors/child_spec.hpp"
#include "cluster/links/network_core.hpp"

#include <memory>

namespace warp::cluster::links {

/// The actor that keeps a node's door open (link_door.hpp): listens when it starts, and ends when
/// that fails later, to be started again on the same port. Links that exist stay. A child of the
/// network's supervisor; ready when it listens.
actors::child_spec node_agent(std::shared_ptr<network_core> core);

} // namespace warp::cluster::links
