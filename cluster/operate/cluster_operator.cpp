#include "cluster/operate/cluster_operator.hpp"

#include "cluster/etcd/blocking_calls.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <set>
#include <thread>

namespace warp::cluster {

using namespace replication;
using ms = std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

/// Between two looks at what nodes have done.
constexpr ms look_again{50};

op_status none(std::string what) {
  return {op_code::not_found, std::move(what)};
}

/// All nodes that placement names, in order.
std::vector<node_id> nodes_of(const etcd::desired_placement& p) {
  std::set<node_id> all;
  for (const auto& list : p.shards) all.insert(list.begin(), list.end());
  return {all.begin(), all.end()};
}

} // namespace

op_result<std::unique_ptr<cluster_operator>>
cluster_operator::connect(const std::string& cluster, etcd::connection_options connection) {
  auto names = etcd::key_names::of(cluster);
  if (!names) return names.status();
  auto client = etcd::client::create({.connection = std::move(connection)});
  if (!client) return client.status();
  return std::unique_ptr<cluster_operator>{
      new cluster_operator{std::move(*names), std::move(*client)}};
}

op_result<cluster_facts> cluster_operator::look() {
  const auto got = etcd::range_now(*etcd_, {.keys = {names_.prefix(), true}});
  if (!got) return got.status();
  auto facts = read_facts(names_, *got);
  if (!facts.config && facts.refused.empty())
    return none(fmt::format("there is no cluster at {}: make it with 'warp cluster init'",
                            names_.prefix()));
  if (!facts.config) return facts.refused.front();
  return facts;
}

/// ok also where it is there with this very value.
op_status cluster_operator::put_new(const std::string& key, const std::string& value) {
  const auto done =
      etcd::txn_now(*etcd_, {.compares = {{key, etcd::compare::target::create_revision, 0}},
                             .success = {etcd::put_request{key, value, 0}},
                             .failure = {{.keys = {key}}}});
  if (done.what == etcd::txn_result::outcome::done) return {};
  if (done.what != etcd::txn_result::outcome::compare_failed) return done.status;
  if (!done.ranges.empty() && !done.ranges[0].keys.empty() && done.ranges[0].keys[0].value == value)
    return {};
  return {op_code::already_exists, fmt::format("etcd has the key {} already", key)};
}

op_status cluster_operator::init(const plan& p) {
  const auto got = etcd::range_now(*etcd_, {.keys = {names_.config()}});
  if (!got) return got.status();
  if (!got->keys.empty())
    return {op_code::already_exists,
            fmt::format("there is a cluster at {} already", names_.prefix())};
  etcd::cluster_config config;
  config.id = etcd::draw_id();
  config.shards = p.shards;
  config.rf = p.rf;
  config.min_isr = p.min_isr;
  config.level = p.level;
  if (p.min_isr > p.rf || p.rf == 0)
    return {
        op_code::invalid_argument,
        fmt::format("{} copies must be in sync, and there are {} of each shard", p.min_isr, p.rf)};
  if (!std::has_single_bit(p.shards) || p.shards > shard_count_max)
    return {op_code::invalid_argument,
            fmt::format("{} shards: must be a power of two up to {}", p.shards, shard_count_max)};
  config.slots = etcd::equal_slots(p.shards);
  std::vector<placement::placement_node> nodes;
  for (const auto id : p.nodes) nodes.push_back({id, {}, false, 1});
  auto desired = placement::plan_placement(nodes, p.shards, p.rf, {});
  if (!desired) return desired.status();
  // The configuration last: nodes wait for it, so nobody acts on a part.
  if (auto status = put_new(names_.desired_placement(), etcd::to_value({*desired})); !status.ok())
    return status;
  for (std::uint32_t i = 0; i < p.shards; ++i) {
    const auto& list = (*desired)[i];
    const member first{list.front(), never_lived};
    const etcd::shard_record record{1, first, {first}, {list.begin() + 1, list.end()}, 0};
    if (auto status = put_new(names_.shard(shard_id{i}), etcd::to_value(record)); !status.ok())
      return status;
  }
  return put_new(names_.config(), etcd::to_value(config));
}

op_status cluster_operator::write_placement(const cluster_facts& now,
                                            const placement::shard_nodes& desired) {
  const auto key = names_.desired_placement();
  const auto revision = now.desired ? now.desired->revision : 0;
  const auto done =
      etcd::txn_now(*etcd_, {.compares = {{key, etcd::compare::target::mod_revision, revision}},
                             .success = {etcd::put_request{key, etcd::to_value({desired}), 0}},
                             .failure = {}});
  if (done.what == etcd::txn_result::outcome::done) return {};
  if (done.what == etcd::txn_result::outcome::compare_failed)
    return {op_code::version_mismatch,
            "somebody else has changed the placement at the same time: look, and try again"};
  return done.status;
}

op_status cluster_operator::replan(const cluster_facts& now,
                                   std::vector<placement::placement_node> nodes) {
  const auto& config = now.config->value;
  auto desired =
      placement::plan_placement(nodes, config.shards, config.rf,
                                now.desired ? now.desired->value.shards : placement::shard_nodes{});
  if (!desired) return desired.status();
  return write_placement(now, *desired);
}

namespace {

std::vector<placement::placement_node> planned_nodes(const cluster_facts& now) {
  std::vector<placement::placement_node> nodes;
  if (now.desired)
    for (const auto id : nodes_of(now.desired->value)) {
      const auto at = now.nodes.find(id);
      nodes.push_back(
          {id, at == now.nodes.end() ? std::string{} : at->second.value.zone, false, 1});
    }
  return nodes;
}

} // namespace

op_status cluster_operator::join(node_id node, const std::string& zone) {
  auto now = look();
  if (!now) return now.status();
  auto nodes = planned_nodes(*now);
  if (std::ranges::find(nodes, node, &placement::placement_node::id) != nodes.end())
    return {op_code::already_exists,
            fmt::format("node {} has its share of shards already", node.value)};
  const auto at = now->nodes.find(node);
  if (at == now->nodes.end())
    return none(fmt::format("node {} does not run: start it first, with cluster.node = {}",
                            node.value, node.value));
  nodes.push_back({node, zone.empty() ? at->second.value.zone : zone, false, 1});
  return replan(*now, std::move(nodes));
}

op_status cluster_operator::leave(node_id node) {
  auto now = look();
  if (!now) return now.status();
  auto nodes = planned_nodes(*now);
  const auto at = std::ranges::find(nodes, node, &placement::placement_node::id);
  if (at == nodes.end()) return none(fmt::format("node {} has no share of shards", node.value));
  at->leaves = true;
  if (nodes.size() == 1)
    return {op_code::invalid_argument,
            fmt::format("node {} is the last one: it cannot leave", node.value)};
  return replan(*now, std::move(nodes));
}

op_status cluster_operator::resize(std::uint32_t rf, std::uint32_t min_isr) {
  auto now = look();
  if (!now) return now.status();
  if (rf == 0 || rf > 7 || min_isr == 0 || min_isr > rf)
    return {op_code::invalid_argument,
            fmt::format("{} copies, of which {} must be in sync: 1 to 7, and no more than there "
                        "are",
                        rf, min_isr)};
  auto config = now->config->value;
  config.rf = rf;
  config.min_isr = min_isr;
  const auto key = names_.config();
  const auto done = etcd::txn_now(
      *etcd_, {.compares = {{key, etcd::compare::target::mod_revision, now->config->revision}},
               .success = {etcd::put_request{key, etcd::to_value(config), 0}},
               .failure = {}});
  if (done.what == etcd::txn_result::outcome::compare_failed)
    return {op_code::version_mismatch,
            "somebody else has changed the configuration at the same time: look, and try again"};
  if (done.what != etcd::txn_result::outcome::done) return done.status;
  now->config->value = config;
  return replan(*now, planned_nodes(*now));
}

op_status cluster_operator::move(shard_id shard, const std::vector<node_id>& nodes) {
  auto now = look();
  if (!now) return now.status();
  if (!now->desired || shard.value >= now->desired->value.shards.size())
    return none(fmt::format("there is no shard {}", shard.value));
  if (nodes.empty() || std::set<node_id>(nodes.begin(), nodes.end()).size() != nodes.size())
    return {op_code::invalid_argument, "name each node once, and at least one"};
  for (const auto n : nodes)
    if (!now->nodes.contains(n)) return none(fmt::format("node {} does not run", n.value));
  auto desired = now->desired->value.shards;
  desired[shard.value] = nodes;
  return write_placement(*now, desired);
}

op_status cluster_operator::switch_over(shard_id shard, node_id to, ms patience) {
  const auto until = steady_clock::now() + patience;
  auto now = look();
  if (!now) return now.status();
  if (!now->desired || shard.value >= now->desired->value.shards.size())
    return none(fmt::format("there is no shard {}", shard.value));
  auto desired = now->desired->value.shards;
  auto& list = desired[shard.value];
  const auto at = std::ranges::find(list, to);
  if (at == list.end())
    return none(fmt::format("node {} is to hold no copy of shard {}: 'warp cluster move' gives it "
                            "one",
                            to.value, shard.value));
  std::rotate(list.begin(), at, at + 1);
  if (auto status = write_placement(*now, desired); !status.ok()) return status;
  for (;;) {
    const auto key = names_.shard(shard);
    const auto got = etcd::range_now(*etcd_, {.keys = {key}});
    if (got && !got->keys.empty())
      if (const auto record = etcd::read_shard_record(key, got->keys[0].value);
          record && record->primary.node == to)
        return {};
    if (steady_clock::now() >= until)
      return {op_code::timed_out,
              fmt::format("node {} is not the primary of shard {} yet; it becomes it when its copy "
                          "is in sync",
                          to.value, shard.value)};
    std::this_thread::sleep_for(look_again);
  }
}

op_status cluster_operator::accept_loss(shard_id shard, node_id node, ms patience) {
  const auto until = steady_clock::now() + patience;
  const auto key = names_.order(shard);
  if (auto now = look(); !now)
    return now.status();
  else if (!now->nodes.contains(node))
    return none(fmt::format("node {} does not run: start it first", node.value));
  auto put = etcd::put_now(*etcd_, {key, etcd::to_value(etcd::shard_order{node, {}}), 0});
  if (!put) return put.status();
  op_status answer{op_code::timed_out,
                   fmt::format("node {} has not answered; the order is withdrawn", node.value)};
  while (steady_clock::now() < until) {
    const auto got = etcd::range_now(*etcd_, {.keys = {key}});
    if (got && !got->keys.empty())
      if (const auto order = etcd::read_shard_order(key, got->keys[0].value);
          order && !order->answer.empty()) {
        answer =
            order->answer == "ok" ? op_status{} : op_status{op_code::unavailable, order->answer};
        break;
      }
    std::this_thread::sleep_for(look_again);
  }
  static_cast<void>(etcd::erase_now(*etcd_, {.keys = {key}}));
  return answer;
}

} // namespace warp::cluster
