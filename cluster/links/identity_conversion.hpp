#pragma once

#include "cluster/links/node_identity.hpp"
#include "messages/replication.capnp.h"

namespace warp::cluster::links {

void write(const node_identity& from, wire::NodeIdentity::Builder to);
/// corruption: a name that is too long. Control characters in it become question marks.
op_result<node_identity> read(wire::NodeIdentity::Reader from);

} // namespace warp::cluster::links
