#pragma once

#include "cluster/replication/authority.hpp"
#include "messages/status.hpp"

#include <cstddef>
#include <string>
#include <string_view>

namespace warp::cluster::etcd {

/// The key `shards/<s>`: who may serve a shard, in which epoch. The single authority; bound to no
/// lease; changed by compare-and-set on its revision alone, each change raising the epoch.
/// Version 1:
///
///     {"version":1,"epoch":7,"primary":{"node":1,"boot":"1712345678"},
///      "isr":[{"node":1,"boot":"1712345678"},{"node":2,"boot":"1712345679"}],
///      "learners":[3],"reset_epoch":0}
///
/// Node ids are from 1 on; no node is listed twice; epoch >= 1; the primary is among the members;
/// reset_epoch is not above epoch.
using shard_record = replication::authority;

inline constexpr std::size_t members_max = 16; ///< of an in-sync set
inline constexpr std::size_t learners_max = 1'000;

/// As of cluster_config. An epoch beyond 2^53 is refused, as other programs would round it.
[[nodiscard]] op_result<shard_record> read_shard_record(std::string_view key,
                                                        std::string_view value);
[[nodiscard]] std::string to_value(const shard_record& record);

} // namespace warp::cluster::etcd
