#pragma once

#include "actors/child_spec.hpp"
#include "cluster/links/network_core.hpp"

#include <memory>

namespace warp::cluster::links {

/// The actor that keeps the link to one peer: connects and says hello, or takes the connection that
/// the peer has made, has signs of life sent, and begins again when the link breaks. What the link
/// carries goes past it (link_stream.hpp). A child of the network's supervisor, one per peer.
///
///     away --(dialled, hello answered; the node with the smaller id does so)--> linked
///     away --(the peer has said hello at our door: attach)-------------------> linked
///     linked --(the connection ended, goodbye, malformed frame, silence)-----> away, tries again
///
/// 1. One connection carries both directions of a pair of nodes, so only the one with the smaller
///    id says hello. The other dials as well, and hangs up when it is greeted, so that both know,
///    and say, why there is no link.
/// 2. A new hello of the same node takes the place of the link that is there.
actors::child_spec peer_link(std::shared_ptr<network_core> core, std::shared_ptr<link_state> state);

} // namespace warp::cluster::links
