#pragma once

#include "cluster/cluster_map.hpp"
#include "cluster/rpc_context.hpp"
#include "storage/engine.hpp"

#include <cstdint>
#include <optional>
#include <string_view>

namespace warp::cluster {

/// In a cluster: the key's shard where this node does not serve it. Nothing: it does, or it is
/// alone.
[[nodiscard]] inline std::optional<shard_id> shard_elsewhere(const rpc_context& context,
                                                             std::string_view key) {
  const auto* const cluster = context.options.cluster;
  if (cluster == nullptr) [[likely]]
    return std::nullopt;
  const auto shard = context.engine.shard_of(key);
  return cluster->serves(shard) ? std::nullopt : std::optional{shard};
}

/// Does the answer say that the shard went elsewhere while the operation was under way?
[[nodiscard]] inline bool went_elsewhere(const rpc_context& context, op_code code) noexcept {
  return context.options.cluster != nullptr &&
         (code == op_code::unavailable || code == op_code::wrong_shard);
}

} // namespace warp::cluster
