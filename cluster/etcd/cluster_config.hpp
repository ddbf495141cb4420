#pragma once

#include "cluster/replication/replica_options.hpp"
#include "messages/ids.hpp"
#include "messages/limits.hpp"
#include "messages/status.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace warp::cluster::etcd {

/// Slots first to last, both included, belong to this shard.
struct slot_range {
  std::uint32_t first = 0, last = 0;
  shard_id shard;
  friend bool operator==(const slot_range&, const slot_range&) = default;
};

/// The key `config`: what all nodes of a cluster must agree on. Version 1:
///
///     {"version":1,"id":"7308812903817","shards":64,"rf":3,"min_isr":2,"level":"durable",
///      "slots":[[0,255,0],[256,511,1],...],"formats":{"log":1,"messages":2}}
struct cluster_config {
  /// Drawn at random when the cluster is made: two of one name stay apart. Not 0.
  std::uint64_t id = 0;
  std::uint32_t shards = shard_count_default; ///< a power of two, fixed
  std::uint32_t rf = 3;                       ///< copies of each shard that should be, 1 to 7
  std::uint32_t min_isr = 2;                  ///< below so many no write is acknowledged, 1 to rf
  /// What a record needs to be committed: `replicated` or `durable`.
  replication::ack_level level = replication::ack_level::durable;
  std::vector<slot_range> slots; ///< in order, each slot in one, each shard in at least one
  std::uint32_t log_format = 1;  ///< of the records that nodes send each other, >= 1
  std::uint32_t message_format = 2;
  friend bool operator==(const cluster_config&, const cluster_config&) = default;
};

/// Tells clusters, and data folders, of one name apart: from the system's randomness, never 0.
[[nodiscard]] std::uint64_t draw_id();

/// Equal, contiguous ranges, as a node alone has them. `shards` is a power of two.
[[nodiscard]] std::vector<slot_range> equal_slots(std::uint32_t shards);

/// Reader: corruption, naming key and field, not_supported for a version that is not known. What it
/// takes the writer says the same way.
[[nodiscard]] op_result<cluster_config> read_cluster_config(std::string_view key,
                                                            std::string_view value);
[[nodiscard]] std::string to_value(const cluster_config& config);

} // namespace warp::cluster::etcd
