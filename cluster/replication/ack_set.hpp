#pragma once

#include "cluster/replication/authority_change.hpp"

#include <optional>
#include <vector>

namespace warp::cluster::replication {

/// R4: who has to have a record before it is committed: the members that etcd is known to list and
/// those of a change that is not settled. Sorted, each once.
[[nodiscard]] std::vector<member> ack_set(const authority& confirmed,
                                          const std::optional<authority_change>& change);

/// R7: who has to have granted before a read is served; the same members.
[[nodiscard]] std::vector<member> lease_set(const authority& confirmed,
                                            const std::optional<authority_change>& change);

} // namespace warp::cluster::replication
