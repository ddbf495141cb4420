#pragma once

#include "cluster/replication/authority.hpp"
#include "messages/ids.hpp"
#include "messages/status.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <variant>

namespace warp::cluster::etcd {

/// The keys of one cluster, all below "/warp/NAME/":
///
///     config              what all nodes must agree on
///     nodes/<id>          a running node; goes with its lease: for discovery and deferral only
///     shards/<s>          who may serve a shard; the only authority
///     placement/desired   where copies should be; read by movers alone
///     orders/<s>          what an operator wants of a copy, and what came of it
class key_names {
public:
  /// `cluster`: 1 to 64 of a-z, 0-9, '-', '_' and '.'; invalid_argument.
  static op_result<key_names> of(std::string_view cluster);

  [[nodiscard]] const std::string& prefix() const noexcept { return prefix_; }
  [[nodiscard]] std::string config() const { return prefix_ + "config"; }
  [[nodiscard]] std::string nodes() const { return prefix_ + "nodes/"; }
  [[nodiscard]] std::string node(replication::node_id id) const {
    return nodes() + std::to_string(id.value);
  }
  [[nodiscard]] std::string shards() const { return prefix_ + "shards/"; }
  [[nodiscard]] std::string shard(shard_id id) const { return shards() + std::to_string(id.value); }
  [[nodiscard]] std::string desired_placement() const { return prefix_ + "placement/desired"; }

  [[nodiscard]] std::string orders() const { return prefix_ + "orders/"; }
  [[nodiscard]] std::string order(shard_id id) const { return orders() + std::to_string(id.value); }

  /// What a key is, nothing when it is none of those: a number is written in one way only.
  [[nodiscard]] std::optional<replication::node_id> node_of(std::string_view key) const;
  [[nodiscard]] std::optional<shard_id> shard_of(std::string_view key) const;
  [[nodiscard]] std::optional<shard_id> order_of(std::string_view key) const;

private:
  explicit key_names(std::string prefix) : prefix_(std::move(prefix)) {}

  std::string prefix_;
};

} // namespace warp::cluster::etcd
