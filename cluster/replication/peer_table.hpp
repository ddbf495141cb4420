#pragma once

#include "cluster/replication/authority.hpp"
#include "cluster/replication/read_lease.hpp"

#include <map>
#include <optional>

namespace warp::cluster::replication {

/// What a primary knows of another copy. All of it belongs to one boot: a newer one begins anew.
struct peer {
  boot_id boot;
  lsn_t sent = 0;     ///< the next Append begins behind this
  lsn_t appended = 0; ///< acknowledged in this primary's reign
  lsn_t durable = 0;
  lease_grant grant;
  moment progress_at = 0; ///< it had everything, or got on
  moment acked_at = 0;
  /// R10: the end of a checkpoint that is on its way to it; 0: none.
  lsn_t pins = 0;
  moment pinned_at = 0;
  moment sent_at = 0;            ///< of the last Append
  std::optional<moment> read_at; ///< when what comes next was asked for of the log
};

/// By node: of two boots of one node only the later one counts.
using peer_table = std::map<node_id, peer>;

} // namespace warp::cluster::replication
