#include "cluster/etcd/key_names.hpp"

#include "messages/limits.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>

namespace warp::cluster::etcd {

namespace {

/// The number behind the prefix, without leading zeros.
std::optional<std::uint32_t> number_behind(std::string_view key, std::string_view prefix) {
  if (!key.starts_with(prefix)) return {};
  key.remove_prefix(prefix.size());
  std::uint32_t number = 0;
  const auto [end, error] = std::from_chars(key.data(), key.data() + key.size(), number);
  if (error != std::errc{} || end != key.data() + key.size()) return {};
  if (key.size() > 1 && key.front() == '0') return {};
  return number;
}

} // namespace

op_result<key_names> key_names::of(std::string_view cluster) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  };
  if (cluster.empty() || cluster.size() > 64 || !std::ranges::all_of(cluster, allowed))
    return op_status{
        op_code::invalid_argument,
        fmt::format("the cluster's name must be 1 to 64 of a-z, 0-9, '-', '_' and '.', "
                    "not \"{}\"",
                    cluster.substr(0, 80))};
  return key_names{fmt::format("/warp/{}/", cluster)};
}

std::optional<replication::node_id> key_names::node_of(std::string_view key) const {
  const auto number = number_behind(key, nodes());
  if (!number || *number == 0) return {};
  return replication::node_id{*number};
}

std::optional<shard_id> key_names::shard_of(std::string_view key) const {
  const auto number = number_behind(key, shards());
  if (!number || *number >= shard_count_max) return {};
  return shard_id{*number};
}

std::optional<shard_id> key_names::order_of(std::string_view key) const {
  const auto number = number_behind(key, orders());
  if (!number || *number >= shard_count_max) return {};
  return shard_id{*number};
}

} // namespace warp::cluster::etcd
