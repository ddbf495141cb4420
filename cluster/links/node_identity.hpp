#pragma once

#include "cluster/replication/authority.hpp"
#include "messages/ids.hpp"
#include "messages/status.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace warp::cluster::links {

using replication::boot_id;
using replication::node_id;
/// Drawn at random when a cluster is made, so that two clusters of one name stay apart. 0: none.
using cluster_id = strong_id<struct cluster_id_tag, std::uint64_t>;

/// The envelopes that this program speaks (messages/replication.capnp).
inline constexpr std::uint16_t envelope_format = 2;
inline constexpr std::size_t cluster_name_bytes_max = 64;

/// Who a node is, as it says in its hello.
struct node_identity {
  cluster_id cluster;
  std::string cluster_name;   ///< for people: 1 to 64 bytes
  node_id node;               ///< from 1
  boot_id boot;               ///< of the process: the later of two boots is greater
  std::uint64_t instance = 0; ///< of the data folder, drawn when it was made
  std::uint16_t format = envelope_format;

  friend bool operator==(const node_identity&, const node_identity&) = default;
};

/// Whether an identity can be one at all; invalid_argument says what is missing.
op_status check(const node_identity& identity);

/// Whether `self` may talk to a node that says it is `peer`, whatever else is known of it. Both
/// sides ask it, so both refuse with the same sentence, seen from their end. unauthorized: of
/// another cluster. not_supported: speaks another format. already_exists: has our own id.
op_status judge_peer(const node_identity& self, const node_identity& peer);

/// Whether `peer` may take the place of the node with its id that was heard before (`connected`:
/// and is linked now). A later boot may. already_exists: an older boot of it, or another data
/// folder with its id while the first is linked: two nodes have one id, or one was copied.
op_status judge_boot(const std::optional<node_identity>& known, bool connected,
                     const node_identity& peer);

} // namespace warp::cluster::links
