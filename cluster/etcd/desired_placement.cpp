#include "cluster/etcd/desired_placement.hpp"

#include "cluster/etcd/record_reader.hpp"
#include "messages/limits.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <limits>
#include <nlohmann/json.hpp>

namespace warp::cluster::etcd {

namespace {

using json = nlohmann::json;

constexpr std::uint64_t version = 1;

/// Empty: refused.
std::vector<replication::node_id> read_nodes(const json& list) {
  std::vector<replication::node_id> nodes;
  if (!list.is_array() || list.size() > 7) return {};
  for (const auto& one : list) {
    if (!one.is_number_unsigned()) return {};
    const auto id = one.get<std::uint64_t>();
    if (id == 0 || id > std::numeric_limits<std::uint32_t>::max()) return {};
    const replication::node_id node{static_cast<std::uint32_t>(id)};
    if (std::ranges::find(nodes, node) != nodes.end()) return {};
    nodes.push_back(node);
  }
  return nodes;
}

} // namespace

op_result<desired_placement> read_desired_placement(std::string_view key, std::string_view value) {
  const auto parsed = parse_record(key, value, version);
  if (!parsed) return parsed.status();
  op_status status;
  record_reader reader{key, *parsed, status};
  desired_placement placement;
  static_cast<void>(reader.number("version", version, version));
  for (const auto& list : reader.array("shards", shard_count_max)) {
    placement.shards.push_back(read_nodes(list));
    if (!placement.shards.back().empty()) continue;
    reader.refuse(fmt::format("shards[{}]", placement.shards.size() - 1),
                  "is not a list of 1 to 7 different node ids");
    break;
  }
  reader.finish();
  if (!status.ok()) return status;
  return placement;
}

std::string to_value(const desired_placement& placement) {
  auto shards = json::array();
  for (const auto& nodes : placement.shards) {
    auto list = json::array();
    for (const auto node : nodes) list.push_back(node.value);
    shards.push_back(std::move(list));
  }
  return json{{"version", version}, {"shards", std::move(shards)}}.dump();
}

} // namespace warp::cluster::etcd
