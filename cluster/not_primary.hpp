#pragma once

#include "cluster/cluster_map.hpp"
#include "messages/conversion.hpp"
#include "messages/ids.hpp"
#include "messages/status.hpp"

#include <string>

namespace warp::cluster {

/// What a client is told that asks this node for a shard of another one: wrong_shard, and whom this
/// node believes to be its primary. Nothing was done.
class not_primary {
public:
  not_primary(const cluster_view& cluster, shard_id shard);

  /// In a reply `version` is the epoch of that primary and `value` its RPC address; 0 and empty:
  /// this node knows of none, or would be it and is not ready. Borrows from this.
  [[nodiscard]] reply_view reply() const;
  [[nodiscard]] op_status status() const { return {op_code::wrong_shard, text_}; }

private:
  shard_id shard_;
  epoch_t epoch_ = 0;
  std::string address_, text_;
};

} // namespace warp::cluster
