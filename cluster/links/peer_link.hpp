#pragma once

#include "actors/child_spec.hpp"
#include "cluster/links/network_core.hpp"

#include <memory>

namespace warp::cluster::links {

/// The actor that keeps the link to one peer: connects, says hello, sends what waits in the outbox
/// within the peer's window, takes in what the peer sends, and begins again when the link breaks.
/// A child of the network's supervisor, one per peer.
///
///     away --(probe ok; the node with the smaller id connects and says hello)--> linked
///     away --(the peer says hello to our agent: attach)------------------------> linked
///     linked --(peer's link or connection ended, goodbye, malformed piece)-----> away, tries again
///
/// 1. One connection carries both directions of a pair of nodes, so only the one with the smaller
///    id connects. The other looks at its peer's address as well (link_probe.hpp), so that both
///    know, and say, why there is no link.
/// 2. A link is a session, drawn by the node that connects. Pieces are numbered from 1; the one
///    who receives answers with a credit, after the listener has them, where an eighth of the
///    window has come since the last one, and at once after an empty piece, which is how to ask for
///    it. At most link_options::window_bytes are without credit; the rest waits in the outbox,
///    which is bounded as well: nothing here grows by load but the mailbox, by at most the peer's
///    window.
/// 3. A piece out of turn, an envelope that cannot be, or one that is not from the peer ends the
///    session, with a goodbye that says why; the next one begins anew.
/// 4. A new hello of the same node takes the place of the session that is there.
actors::child_spec peer_link(std::shared_ptr<network_core> core, std::shared_ptr<link_state> state);

} // namespace warp::cluster::links
