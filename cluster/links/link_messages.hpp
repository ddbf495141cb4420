#pragma once

#include "actors/message_types.hpp"

#include <caf/all.hpp>

/// What agents and links of two nodes send each other; whatever has structure is a Cap'n Proto
/// message in a frame. `session` names one link from its hello to its end: a message of another
/// one is of a link that is over.

CAF_BEGIN_TYPE_ID_BLOCK(warp_links, caf::first_custom_type_id + 100)

// between nodes
CAF_ADD_ATOM(warp_links, warp::cluster::links, hello_atom,
             "hello") // link -> agent (session, frame) -> (frame, link of that agent or null)
CAF_ADD_ATOM(
    warp_links, warp::cluster::links, piece_atom,
    "piece") // link -> link (session, number, last, frame): of an envelope, or a sign of life
CAF_ADD_ATOM(warp_links, warp::cluster::links, credit_atom,
             "credit") // link -> link (session, number): taken, up to this piece
CAF_ADD_ATOM(warp_links, warp::cluster::links, goodbye_atom,
             "goodbye") // link -> link (session, code, text): this link is over, and why

// within a node
CAF_ADD_ATOM(warp_links, warp::cluster::links, attach_atom,
             "attach") // agent -> link (session, identity of the peer as a frame, its link)
CAF_ADD_ATOM(warp_links, warp::cluster::links, dial_atom, "dial") // to itself (attempt): now
CAF_ADD_ATOM(warp_links, warp::cluster::links, probed_atom,
             "probed") // prober -> link (attempt, code, text, refused)
CAF_ADD_ATOM(warp_links, warp::cluster::links, flush_atom, "flush") // sender -> link: outbox filled
CAF_ADD_ATOM(warp_links, warp::cluster::links, beat_atom, "beat")   // to itself: a sign of life
CAF_ADD_ATOM(warp_links, warp::cluster::links, look_atom,
             "look") // network -> link: the peer's address has changed

CAF_END_TYPE_ID_BLOCK(warp_links)
