#pragma once

#include "actors/child_spec.hpp"
#include "cluster/links/network_core.hpp"

#include <memory>

namespace warp::cluster::links {

/// The one actor of a node that others can find: it listens, judges who says hello, and hands a
/// peer over to the link of its id. A child of the network's supervisor; ready when it listens. It
/// keeps nothing of its own: after a restart it listens on the same port again, and links that
/// exist stay. Its mailbox holds one message per hello.
actors::child_spec node_agent(std::shared_ptr<network_core> core);

} // namespace warp::cluster::links
