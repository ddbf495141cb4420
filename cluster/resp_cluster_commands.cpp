// CLUSTER and its like: the map of the cluster in Redis Cluster's words. A node alone is a cluster
// of itself, which serves all slots.

#include "cluster/resp_cluster.hpp"
#include "cluster/resp_io_thread.hpp"
#include "cluster/resp_text.hpp"
#include "storage/slot.hpp"

#include <algorithm>
#include <bit>
#include <fmt/format.h>

namespace warp::cluster {

namespace {

using replication::node_id;

constexpr std::uint16_t bus_port_above = 10'000; ///< as Redis has it; nobody listens there

/// Where the client has reached us: so it can reach us there again.
std::string address_of(resp_call& c) {
  const auto& at = c.client.card->local_address;
  auto host = std::string_view{at}.substr(0, at.rfind(':'));
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  if (host.starts_with("::ffff:")) host = host.substr(7);
  return fmt::format("{}:{}", host, c.shared.port);
}

/// The map as one command sees it, with what Redis Cluster has and we have not: a node is either a
/// master or a replica of one. Here it is a master when it is the primary of any shard; else a
/// replica of the first one whose in-sync set or learners it is among.
class shown_map {
public:
  explicit shown_map(resp_call& c)
      : alone_(c.shared.options.cluster == nullptr), run_id_(c.shared.run_id) {
    if (!alone_) {
      map_ = c.shared.options.cluster->map();
    } else {
      auto own = std::make_shared<cluster_map>();
      own->self = node_id{1};
      own->nodes.push_back({.id = own->self,
                            .zone = {},
                            .rpc = {},
                            .resp = address_of(c),
                            .http = {},
                            .links = {},
                            .live = true});
      own->shards.push_back({.epoch = 1, .primary = own->self, .isr = {own->self}, .learners = {}});
      map_ = std::move(own);
    }
    ranges_ = slot_ranges(*map_);
  }

  [[nodiscard]] const cluster_map& map() const noexcept { return *map_; }
  [[nodiscard]] const std::vector<slot_range>& ranges() const noexcept { return ranges_; }
  [[nodiscard]] const cluster_map::shard& shard_of(const slot_range& r) const {
    return map_->shards[r.shard];
  }
  [[nodiscard]] std::string name_of(node_id id) const {
    return alone_ ? run_id_ : resp_node_name(*map_, id);
  }
  /// The primary of a range, if anybody is known to be.
  [[nodiscard]] const cluster_map::node* primary_of(const slot_range& r) const {
    return shard_of(r).epoch == 0 ? nullptr : map_->find(shard_of(r).primary);
  }
  [[nodiscard]] bool is_up(const cluster_map::node& node) const {
    return node.live || node.id == map_->self;
  }
  [[nodiscard]] bool is_master(node_id id) const {
    return std::ranges::any_of(ranges_, [&](const slot_range& r) {
      const auto* const primary = primary_of(r);
      return primary != nullptr && primary->id == id;
    });
  }
  /// The members of a shard beside its primary that are in sync.
  [[nodiscard]] std::vector<const cluster_map::node*>
  replicas_of(const cluster_map::shard& shard) const {
    std::vector<const cluster_map::node*> replicas;
    for (const auto id : shard.isr)
      if (const auto* const node = map_->find(id); node != nullptr && id != shard.primary)
        replicas.push_back(node);
    return replicas;
  }
  /// The highest epoch in which the node is a primary; 0: in none.
  [[nodiscard]] epoch_t epoch_of(node_id id) const {
    epoch_t highest = 0;
    for (const auto& shard : map_->shards)
      if (shard.primary == id) highest = std::max(highest, shard.epoch);
    return highest;
  }
  [[nodiscard]] epoch_t newest_epoch() const {
    epoch_t highest = 0;
    for (const auto& shard : map_->shards) highest = std::max(highest, shard.epoch);
    return highest;
  }
  /// A line of CLUSTER NODES; `master`: whose replica it is shown as.
  [[nodiscard]] std::string line_of(const cluster_map::node& node, const node_id* master) const {
    const auto at = split_address(node.resp);
    std::string flags = node.id == map_->self ? "myself," : "";
    flags += master == nullptr ? "master" : "slave";
    if (!is_up(node)) flags += ",fail";
    if (at.port == 0) flags += ",noaddr";
    auto line = fmt::format("{} {}:{}@{} {} {} 0 0 {} {}", name_of(node.id), at.host, at.port,
                            at.port == 0 ? 0 : at.port + bus_port_above, flags,
                            master == nullptr ? std::string{"-"} : name_of(*master),
                            epoch_of(master == nullptr ? node.id : *master),
                            is_up(node) ? "connected" : "disconnected");
    if (master == nullptr)
      for (const auto& r : ranges_)
        if (const auto* const primary = primary_of(r); primary != nullptr && primary->id == node.id)
          line += r.first == r.last ? fmt::format(" {}", r.first)
                                    : fmt::format(" {}-{}", r.first, r.last);
    return line;
  }
  [[nodiscard]] std::string line_of(const cluster_map::node& node) const {
    if (!is_master(node.id))
      for (const auto& r : ranges_)
        if (const auto& shard = shard_of(r);
            primary_of(r) != nullptr &&
            (std::ranges::find(shard.isr, node.id) != shard.isr.end() ||
             std::ranges::find(shard.learners, node.id) != shard.learners.end()))
          return line_of(node, &shard.primary);
    return line_of(node, nullptr);
  }

private:
  const bool alone_;
  const std::string run_id_;
  std::shared_ptr<const cluster_map> map_;
  std::vector<slot_range> ranges_;
};

/// Keys of one slot, at most `limit`, of this node's copy of its shard.
std::vector<std::string> keys_in_slot(resp_call& c, std::uint32_t slot, std::size_t limit) {
  std::vector<std::string> keys;
  const auto shards = c.shared.engine.shard_count();
  const auto bits = static_cast<unsigned>(std::countr_zero(shards));
  const auto shard = storage::shard_of(slot_id{slot}, shards).value;
  const auto shard_at = [&](std::uint64_t cursor) { return bits == 0 ? 0 : cursor >> (64 - bits); };
  storage::scan_page page;
  page.next_cursor = bits == 0 ? 0 : std::uint64_t{shard} << (64 - bits);
  do {
    if (!c.shared.engine.scan(page.next_cursor, {}, 1'000, page).ok()) break;
    for (const auto& entry : page.entries)
      if (storage::slot_of(entry.key).value == slot && keys.size() < limit)
        keys.emplace_back(entry.key);
  } while (page.next_cursor != 0 && shard_at(page.next_cursor) == shard && keys.size() < limit);
  return keys;
}

bool take_slot(resp_call& c, std::string_view text, std::uint32_t& slot) {
  std::int64_t number = 0;
  if (!take_integer(c, text, number, "ERR Invalid slot")) return false;
  if (number < 0 || number >= static_cast<std::int64_t>(slot_count)) {
    c.out.error("ERR Invalid slot");
    return false;
  }
  slot = static_cast<std::uint32_t>(number);
  return true;
}

/// Host, port, name and no further networks of a node, as CLUSTER SLOTS has them.
void write_slot_node(resp_call& c, const shown_map& map, const cluster_map::node& node) {
  const auto at = split_address(node.resp);
  c.out.array(4);
  c.out.bulk(at.host);
  c.out.integer(at.port);
  c.out.bulk(map.name_of(node.id));
  c.out.array(0);
}

bool has_address(const cluster_map::node* node) {
  return node != nullptr && split_address(node->resp).port != 0;
}

/// Primaries alone: who is told of replicas may read there, and hears MOVED until it gives up.
void slots(resp_call& c) {
  const shown_map map{c};
  struct served {
    std::uint32_t first, last;
    const cluster_map::node* by;
  };
  std::vector<served> all;
  for (const auto& r : map.ranges()) {
    const auto* const primary = map.primary_of(r);
    if (!has_address(primary)) continue;
    if (!all.empty() && all.back().by == primary && all.back().last + 1 == r.first)
      all.back().last = r.last;
    else
      all.push_back({r.first, r.last, primary});
  }
  c.out.array(all.size());
  for (const auto& [first, last, by] : all) {
    c.out.array(3);
    c.out.integer(first);
    c.out.integer(last);
    write_slot_node(c, map, *by);
  }
}

void write_shard_node(resp_call& c, const shown_map& map, const cluster_map::node& node,
                      std::string_view role, std::string_view health) {
  const auto at = split_address(node.resp);
  const auto name = map.name_of(node.id);
  c.out.map(7);
  for (const auto& [key, value] :
       {std::pair<std::string_view, std::string_view>{"id", name},
        {"ip", at.host},
        {"endpoint", at.host},
        {"role", role},
        {"health", map.is_up(node) ? health : std::string_view{"fail"}}}) {
    c.out.bulk(key);
    c.out.bulk(value);
  }
  c.out.bulk("port");
  c.out.integer(at.port);
  c.out.bulk("replication-offset");
  c.out.integer(0);
}

void shards(resp_call& c) {
  const shown_map map{c};
  // Ranges with the same nodes are one shard to Redis.
  std::vector<std::vector<const slot_range*>> groups;
  for (const auto& r : map.ranges()) {
    const auto& shard = map.shard_of(r);
    const auto same = std::ranges::find_if(groups, [&](const auto& group) {
      const auto& other = map.shard_of(*group.front());
      return other.primary == shard.primary && other.isr == shard.isr &&
             other.learners == shard.learners;
    });
    if (same == groups.end())
      groups.push_back({&r});
    else
      same->push_back(&r);
  }
  c.out.array(groups.size());
  for (const auto& group : groups) {
    const auto& shard = map.shard_of(*group.front());
    c.out.map(2);
    c.out.bulk("slots");
    c.out.array(2 * group.size());
    for (const auto* const r : group) {
      c.out.integer(r->first);
      c.out.integer(r->last);
    }
    const auto* const primary = map.primary_of(*group.front());
    const auto replicas = map.replicas_of(shard);
    std::vector<const cluster_map::node*> learners;
    for (const auto id : shard.learners)
      if (const auto* const node = map.map().find(id)) learners.push_back(node);
    c.out.bulk("nodes");
    c.out.array((primary != nullptr ? 1 : 0) + replicas.size() + learners.size());
    if (primary != nullptr) write_shard_node(c, map, *primary, "master", "online");
    for (const auto* const node : replicas) write_shard_node(c, map, *node, "replica", "online");
    for (const auto* const node : learners) write_shard_node(c, map, *node, "replica", "loading");
  }
}

void nodes(resp_call& c) {
  const shown_map map{c};
  std::string lines;
  for (const auto& node : map.map().nodes) lines += map.line_of(node) + "\n";
  c.out.verbatim(lines);
}

/// The nodes that have a copy of any shard of that primary, as its replicas.
void replicas(resp_call& c) {
  const shown_map map{c};
  const auto& all = map.map().nodes;
  const auto wanted = std::ranges::find_if(
      all, [&](const auto& node) { return same_word(map.name_of(node.id), c.args[2]); });
  if (wanted == all.end()) return c.out.error(fmt::format("ERR Unknown node {}", shown(c.args[2])));
  if (!map.is_master(wanted->id)) return c.out.error("ERR The specified node is not a master");
  std::vector<const cluster_map::node*> found;
  for (const auto& shard : map.map().shards)
    if (shard.primary == wanted->id)
      for (const auto* const node : map.replicas_of(shard))
        if (std::ranges::find(found, node) == found.end()) found.push_back(node);
  c.out.array(found.size());
  for (const auto* const node : found) c.out.bulk(map.line_of(*node, &wanted->id));
}

void my_id(resp_call& c) {
  const shown_map map{c};
  c.out.bulk(map.name_of(map.map().self));
}

/// The nodes that this one should be connected with. What the connections do, the metrics tell.
void links(resp_call& c) {
  const shown_map map{c};
  std::vector<const cluster_map::node*> others;
  for (const auto& node : map.map().nodes)
    if (node.live && node.id != map.map().self) others.push_back(&node);
  c.out.array(others.size());
  for (const auto* const node : others) {
    c.out.map(6);
    for (const auto& [name, value] : {std::pair<std::string_view, std::string>{"direction", "to"},
                                      {"node", map.name_of(node->id)},
                                      {"events", "rw"}}) {
      c.out.bulk(name);
      c.out.bulk(value);
    }
    for (const std::string_view name :
         {"create-time", "send-buffer-allocated", "send-buffer-used"}) {
      c.out.bulk(name);
      c.out.integer(0);
    }
  }
}

void cluster_info(resp_call& c) {
  const shown_map map{c};
  std::uint32_t assigned = 0, fine = 0;
  std::vector<node_id> masters;
  for (const auto& r : map.ranges()) {
    const auto* const primary = map.primary_of(r);
    if (primary == nullptr) continue;
    assigned += r.last - r.first + 1;
    if (map.is_up(*primary)) fine += r.last - r.first + 1;
    if (std::ranges::find(masters, primary->id) == masters.end()) masters.push_back(primary->id);
  }
  c.out.verbatim(fmt::format(
      "cluster_enabled:1\r\ncluster_state:{}\r\ncluster_slots_assigned:{}\r\n"
      "cluster_slots_ok:{}\r\ncluster_slots_pfail:0\r\ncluster_slots_fail:{}\r\n"
      "cluster_known_nodes:{}\r\ncluster_size:{}\r\ncluster_current_epoch:{}\r\n"
      "cluster_my_epoch:{}\r\ncluster_stats_messages_sent:0\r\n"
      "cluster_stats_messages_received:0\r\n"
      "total_cluster_links_buffer_limit_exceeded:0\r\n",
      fine == slot_count ? "ok" : "fail", assigned, fine, assigned - fine, map.map().nodes.size(),
      masters.size(), map.newest_epoch(), map.epoch_of(map.map().self)));
}

constexpr resp_subcommand parts[] = {
    {"SLOTS", 2, slots},
    {"SHARDS", 2, shards},
    {"NODES", 2, nodes},
    {"INFO", 2, cluster_info},
    {"MYID", 2, my_id},
    {"KEYSLOT", 3, [](resp_call& c) { c.out.integer(storage::slot_of(c.args[2]).value); }},
    {"COUNTKEYSINSLOT", 3,
     [](resp_call& c) {
       if (std::uint32_t slot = 0; take_slot(c, c.args[2], slot))
         c.out.integer(static_cast<std::int64_t>(keys_in_slot(c, slot, SIZE_MAX).size()));
     }},
    {"GETKEYSINSLOT", 4,
     [](resp_call& c) {
       std::uint32_t slot = 0;
       std::int64_t count = 0;
       if (!take_slot(c, c.args[2], slot) || !take_integer(c, c.args[3], count)) return;
       if (count < 0) return c.out.error("ERR Invalid number of keys");
       const auto keys = keys_in_slot(c, slot, static_cast<std::size_t>(count));
       c.out.array(keys.size());
       for (const auto& key : keys) c.out.bulk(key);
     }},
    {"REPLICAS", 3, replicas},
    {"SLAVES", 3, replicas},
    {"LINKS", 2, links},
};

void cluster(resp_call& c) {
  constexpr std::string_view help[] = {
      "COUNTKEYSINSLOT <slot>",
      "    Return the number of keys in <slot>.",
      "INFO",
      "    Return information about the cluster.",
      "KEYSLOT <key>",
      "    Return the hash slot for <key>.",
      "MYID",
      "    Return the node id.",
      "NODES",
      "    Return cluster configuration seen by node.",
      "SHARDS",
      "    Return information about slot range mappings and the nodes "
      "associated with them.",
      "SLOTS",
      "    Return information about slots range mappings."};
  run_subcommand(c, help);
}

void ok(resp_call& c) {
  c.out.ok();
}

using namespace command_flags;

constexpr resp_command rows[] = {
    {.name = "asking",
     .arity = 1,
     .flags = fast,
     .run = ok,
     .group = "cluster",
     .since = "3.0.0",
     .syntax = {},
     .summary = "Signals that a cluster client is following an -ASK redirect.",
     .note = "changes nothing: a slot moves at once, nobody is ever told ASK"},
    {.name = "cluster",
     .arity = -2,
     .flags = loading | stale,
     .run = cluster,
     .parts = parts,
     .group = "cluster",
     .since = "3.0.0",
     .syntax = "subcommand [argument ...]",
     .summary = "A container for Redis Cluster commands.",
     .note =
         "a node alone answers as a cluster of itself, which serves all slots, and a command may "
         "name keys of any of them; in a cluster these are a view of its map: a node that is "
         "the primary of any shard is a master, any other one a replica of one of them"},
    {.name = "readonly",
     .arity = 1,
     .flags = loading | stale | fast,
     .run = ok,
     .group = "cluster",
     .since = "3.0.0",
     .syntax = {},
     .summary = "Enables read-only queries for a connection to a Redis Cluster replica node.",
     .note =
         "changes nothing: reads are answered by a slot's primary alone, so they are linearizable; "
         "a replica answers MOVED, and CLUSTER SLOTS names none"},
    {.name = "readwrite",
     .arity = 1,
     .flags = loading | stale | fast,
     .run = ok,
     .group = "cluster",
     .since = "3.0.0",
     .syntax = {},
     .summary = "Enables read-write queries for a connection to a Redis Cluster replica node.",
     .note = "changes nothing"},
};

} // namespace

std::span<const resp_command> cluster_commands() {
  return rows;
}

} // namespace warp::cluster
