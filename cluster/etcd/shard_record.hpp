#pragma once

#include "cluster/replication/authority.hpp"
#include "messages/status.hpp"

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace warp::cluster::etcd {

/// The key `shards/<s>`: who may serve a shard, in which epoch. The single authority; bound to no
/// lease; changed by compare-and-set on its revision alone, each change raising the epoch.
/// Version 1:
///
///     {"version":1,"epoch":7,"primary":{"node":1,"boot":"1712345678"},
///      "isr":[{"node":1,"boot":"1712345678"},{"node":2,"boot":"1712345679"}],
///      "learners":[],"reset_epoch":0}
///
/// Node ids are from 1 on; no node is listed twice.
struct shard_record {
  /// epoch >= 1, its primary among its members. What the replication machines read and write.
  replication::authority authority;
  /// Copies that catch up.
  std::vector<replication::member> learners;
  /// Up to this epoch an operator has accepted loss: a copy in conflict below it is rebuilt. Below
  /// `authority.epoch`; 0: never.
  epoch_t reset_epoch = 0;
  friend bool operator==(const shard_record&, const shard_record&) = default;
};

inline constexpr std::size_t members_max = 16; ///< of an in-sync set
inline constexpr std::size_t learners_max = 1'000;

/// What a machine's compare-and-set writes: `next` over what was read, with learners that became
/// members left out.
[[nodiscard]] shard_record with_authority(shard_record before, const replication::authority& next);

/// As of cluster_config. An epoch beyond 2^53 is refused, as other programs would round it.
[[nodiscard]] op_result<shard_record> read_shard_record(std::string_view key,
                                                        std::string_view value);
[[nodiscard]] std::string to_value(const shard_record& record);

} // namespace warp::cluster::etcd
