#include "cluster/map_conversion.hpp"

#include "messages/conversion.hpp"
#include "messages/limits.hpp"

#include <algorithm>
#include <bit>

namespace warp::cluster {

namespace {

using replication::node_id;

void write_ids(const std::vector<node_id>& ids, capnp::List<std::uint32_t>::Builder to) {
  for (unsigned i = 0; i < to.size(); ++i) to.set(i, ids[i].value);
}

std::vector<node_id> read_ids(capnp::List<std::uint32_t>::Reader from) {
  std::vector<node_id> ids;
  for (const auto id : from) ids.push_back(node_id{id});
  return ids;
}

} // namespace

void write_cluster_map(const cluster_map& map, wire::ClusterMap::Builder to) {
  to.setName(as_text(map.name));
  to.setSelf(map.self.value);
  auto nodes = to.initNodes(static_cast<unsigned>(map.nodes.size()));
  for (unsigned i = 0; i < nodes.size(); ++i) {
    const auto& from = map.nodes[i];
    auto node = nodes[i];
    node.setId(from.id.value);
    node.setZone(as_text(from.zone));
    node.setRpc(as_text(from.rpc));
    node.setResp(as_text(from.resp));
    node.setHttp(as_text(from.http));
    node.setLive(from.live);
  }
  auto shards = to.initShards(static_cast<unsigned>(map.shards.size()));
  for (unsigned i = 0; i < shards.size(); ++i) {
    const auto& from = map.shards[i];
    auto shard = shards[i];
    shard.setEpoch(from.epoch);
    shard.setPrimary(from.primary.value);
    write_ids(from.isr, shard.initIsr(static_cast<unsigned>(from.isr.size())));
    write_ids(from.learners, shard.initLearners(static_cast<unsigned>(from.learners.size())));
  }
}

cluster_map read_cluster_map(wire::ClusterMap::Reader from) {
  cluster_map map;
  map.name = std::string{as_view(from.getName())};
  map.self = node_id{from.getSelf()};
  for (const auto node : from.getNodes())
    map.nodes.push_back({.id = node_id{node.getId()},
                         .zone = std::string{as_view(node.getZone())},
                         .rpc = std::string{as_view(node.getRpc())},
                         .resp = std::string{as_view(node.getResp())},
                         .http = std::string{as_view(node.getHttp())},
                         .links = {},
                         .live = node.getLive()});
  std::ranges::sort(map.nodes, {}, &cluster_map::node::id);
  const auto shards = from.getShards();
  if (!std::has_single_bit(shards.size()) || shards.size() > shard_count_max) return map;
  for (const auto shard : shards)
    map.shards.push_back({.epoch = shard.getEpoch(),
                          .primary = node_id{shard.getPrimary()},
                          .isr = read_ids(shard.getIsr()),
                          .learners = read_ids(shard.getLearners())});
  return map;
}

} // namespace warp::cluster
