#pragma once

#include "cluster/replication/authority_change.hpp"

#include <optional>
#include <vector>

namespace warp::cluster::replication {

/// R4: who has to have a record before it is committed: the members that etcd is known to list and
/// those of a change that is not settled. Each once; where there is no change, they are the
/// confirmed ones themselves, else made in `room`.
[[nodiscard]] const std::vector<member>& ack_set(const authority& confirmed,
                                                 const std::optional<authority_change>& change,
                                                 std::vector<member>& room);

/// R7: who has to have granted before a read is served; the same members.
[[nodiscard]] const std::vector<member>& lease_set(const authority& confirmed,
                                                   const std::optional<authority_change>& change,
                                                   std::vector<member>& room);

} // namespace warp::cluster::replication
