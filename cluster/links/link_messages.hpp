#pragma once

#include "actors/message_types.hpp"
#include "cluster/links/link_dial.hpp"
#include "cluster/links/link_socket.hpp"
#include "cluster/links/node_identity.hpp"

#include <caf/all.hpp>

#include <memory>
#include <utility>

/// What the actors of a node's links are told, all of it within the process.

namespace warp::cluster::links {

/// A connection whose two ends have met; whoever gets the message takes it.
struct linked_peer {
  linked_peer(node_identity who, std::unique_ptr<link_socket> by)
      : peer(std::move(who)), socket(std::move(by)) {}
  node_identity peer;
  std::unique_ptr<link_socket> socket;
};
using linked_peer_ptr = std::shared_ptr<linked_peer>;

/// What became of a try to connect. ok: `met` was welcome there, or it answers (null).
struct link_attempt {
  op_status status;
  bool refused = false; ///< as in dialled
  linked_peer_ptr met;
};
using link_attempt_ptr = std::shared_ptr<link_attempt>;

} // namespace warp::cluster::links

CAF_ALLOW_UNSAFE_MESSAGE_TYPE(warp::cluster::links::linked_peer_ptr)
CAF_ALLOW_UNSAFE_MESSAGE_TYPE(warp::cluster::links::link_attempt_ptr)

CAF_BEGIN_TYPE_ID_BLOCK(warp_links, caf::first_custom_type_id + 100)

CAF_ADD_ATOM(warp_links, warp::cluster::links, attach_atom,
             "attach")                                            // door -> link (linked_peer_ptr)
CAF_ADD_ATOM(warp_links, warp::cluster::links, dial_atom, "dial") // to itself (attempt): now
CAF_ADD_ATOM(warp_links, warp::cluster::links, tried_atom,
             "tried") // dialler -> link (attempt, link_attempt_ptr)
CAF_ADD_ATOM(warp_links, warp::cluster::links, lost_atom,
             "lost") // stream -> link (session, code, text)
CAF_ADD_ATOM(warp_links, warp::cluster::links, beat_atom, "beat") // to itself: a sign of life
CAF_ADD_ATOM(warp_links, warp::cluster::links, look_atom,
             "look") // network -> link: the peer's address has changed
CAF_ADD_ATOM(warp_links, warp::cluster::links, door_failed_atom,
             "doorFailed") // door -> agent (text): can't go on

CAF_END_TYPE_ID_BLOCK(warp_links)
