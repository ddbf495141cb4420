#include "cluster/node/cluster_facts.hpp"

#include "cluster/node/node_file.hpp"

#include <algorithm>

namespace warp::cluster {

using replication::member;
using replication::node_id;

namespace {

template <class Record>
std::optional<cluster_facts::entry<Record>> take(cluster_facts& facts, const etcd::key_value& from,
                                                 op_result<Record> read) {
  if (read) return cluster_facts::entry<Record>{from.mod_revision, std::move(*read)};
  facts.refused.push_back(read.status());
  return {};
}

} // namespace

cluster_facts read_facts(const etcd::key_names& names, const etcd::range_answer& list) {
  cluster_facts facts;
  for (const auto& kv : list.keys) {
    if (kv.key == names.config()) {
      facts.config = take(facts, kv, etcd::read_cluster_config(kv.key, kv.value));
    } else if (kv.key == names.desired_placement()) {
      facts.desired = take(facts, kv, etcd::read_desired_placement(kv.key, kv.value));
    } else if (const auto node = names.node_of(kv.key)) {
      if (auto e = take(facts, kv, etcd::read_node_record(kv.key, kv.value)))
        facts.nodes.emplace(*node, std::move(*e));
    } else if (const auto shard = names.shard_of(kv.key)) {
      if (auto e = take(facts, kv, etcd::read_shard_record(kv.key, kv.value)))
        facts.shards.emplace(*shard, std::move(*e));
    } else if (const auto of = names.order_of(kv.key)) {
      if (auto e = take(facts, kv, etcd::read_shard_order(kv.key, kv.value)))
        facts.orders.emplace(*of, std::move(*e));
    } else {
      facts.refused.emplace_back(op_code::corruption,
                                 "etcd: " + kv.key + " is no key that this version knows");
    }
  }
  return facts;
}

cluster_map make_map(const cluster_facts& facts, std::string name, node_id self,
                     std::uint32_t shards) {
  cluster_map map{.name = std::move(name),
                  .self = self,
                  .nodes = {},
                  .shards = std::vector<cluster_map::shard>(shards)};
  if (facts.config && facts.config->value.level == replication::ack_level::replicated)
    map.level = durability::replicated;
  std::map<node_id, cluster_map::node> nodes;
  for (const auto& [id, e] : facts.nodes)
    nodes[id] = {id, e.value.zone, e.value.rpc, e.value.resp, e.value.http, e.value.nodes, true};
  const auto note = [&](node_id id) { nodes.try_emplace(id, cluster_map::node{.id = id}); };
  for (const auto& [id, e] : facts.shards) {
    if (id.value >= shards) continue;
    auto& to = map.shards[id.value];
    to.epoch = e.value.epoch;
    to.primary = e.value.primary.node;
    for (const auto& m : e.value.isr) {
      to.isr.push_back(m.node);
      note(m.node);
    }
    to.learners = e.value.learners;
    for (const auto n : to.learners) note(n);
  }
  if (facts.desired)
    for (const auto& list : facts.desired->value.shards)
      for (const auto n : list) note(n);
  for (auto& [id, node] : nodes) map.nodes.push_back(std::move(node));
  return map;
}

std::vector<member> live_members(const cluster_facts& facts, const etcd::shard_record& authority,
                                 node_id self, const std::vector<node_id>& refusing) {
  std::vector<member> live;
  for (const auto& [id, e] : facts.nodes) {
    if (id == self || std::ranges::find(refusing, id) != refusing.end()) continue;
    const auto listed = authority.boot_of(id);
    live.push_back(
        {id, listed && same_start(listed->value, e.value.boot.value) ? *listed : e.value.boot});
  }
  return live;
}

} // namespace warp::cluster
