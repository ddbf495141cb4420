// CLUSTER and its like, as the one node of a universe answers: it serves all slots.

#include "cluster/resp_io_thread.hpp"
#include "cluster/resp_text.hpp"
#include "storage/slot.hpp"

#include <fmt/format.h>

namespace warp::cluster {

namespace {

struct node_address {
  std::string host;
  std::int64_t port;
};

/// Where the client has reached us: so it can reach us there again.
node_address address_of(resp_call& c) {
  const auto& at = c.client.card->local_address;
  const auto colon = at.rfind(':');
  auto host = at.substr(0, colon);
  if (host.starts_with('[')) host = host.substr(1, host.size() - 2);
  if (host.starts_with("::ffff:")) host = host.substr(7);
  return {host, c.shared.port};
}

/// Keys of one slot, at most `limit`.
std::vector<std::string> keys_in_slot(resp_call& c, std::uint32_t slot, std::size_t limit) {
  std::vector<std::string> keys;
  storage::scan_page page;
  do {
    if (!c.shared.engine.scan(page.next_cursor, {}, 1'000, page).ok()) break;
    for (const auto& entry : page.entries)
      if (storage::slot_of(entry.key).value == slot && keys.size() < limit)
        keys.emplace_back(entry.key);
  } while (page.next_cursor != 0 && keys.size() < limit);
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

void slots(resp_call& c) {
  const auto at = address_of(c);
  c.out.array(1);
  c.out.array(3);
  c.out.integer(0);
  c.out.integer(slot_count - 1);
  c.out.array(4);
  c.out.bulk(at.host);
  c.out.integer(at.port);
  c.out.bulk(c.shared.run_id);
  c.out.array(0);
}

void shards(resp_call& c) {
  const auto at = address_of(c);
  c.out.array(1);
  c.out.map(2);
  c.out.bulk("slots");
  c.out.array(2);
  c.out.integer(0);
  c.out.integer(slot_count - 1);
  c.out.bulk("nodes");
  c.out.array(1);
  c.out.map(7);
  for (const auto& [name, value] :
       {std::pair<std::string_view, std::string_view>{"id", c.shared.run_id},
        {"ip", at.host},
        {"endpoint", at.host},
        {"role", "master"},
        {"health", "online"}}) {
    c.out.bulk(name);
    c.out.bulk(value);
  }
  c.out.bulk("port");
  c.out.integer(at.port);
  c.out.bulk("replication-offset");
  c.out.integer(0);
}

std::string node_line(resp_call& c) {
  const auto at = address_of(c);
  return fmt::format("{} {}:{}@{} myself,master - 0 0 1 connected 0-{}\n", c.shared.run_id, at.host,
                     at.port, at.port + 10'000, slot_count - 1);
}

void cluster_info(resp_call& c) {
  c.out.verbatim(
      fmt::format("cluster_enabled:1\r\ncluster_state:ok\r\ncluster_slots_assigned:{0}\r\n"
                  "cluster_slots_ok:{0}\r\ncluster_slots_pfail:0\r\ncluster_slots_fail:0\r\n"
                  "cluster_known_nodes:1\r\ncluster_size:1\r\ncluster_current_epoch:1\r\n"
                  "cluster_my_epoch:1\r\ncluster_stats_messages_sent:0\r\n"
                  "cluster_stats_messages_received:0\r\n"
                  "total_cluster_links_buffer_limit_exceeded:0\r\n",
                  slot_count));
}

constexpr resp_subcommand parts[] = {
    {"SLOTS", 2, slots},
    {"SHARDS", 2, shards},
    {"NODES", 2, [](resp_call& c) { c.out.verbatim(node_line(c)); }},
    {"INFO", 2, cluster_info},
    {"MYID", 2, [](resp_call& c) { c.out.bulk(c.shared.run_id); }},
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
    {"REPLICAS", 3, [](resp_call& c) { c.out.array(0); }},
    {"SLAVES", 3, [](resp_call& c) { c.out.array(0); }},
    {"LINKS", 2, [](resp_call& c) { c.out.array(0); }},
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
     .note = "changes nothing: one node serves all slots"},
    {.name = "cluster",
     .arity = -2,
     .flags = loading | stale,
     .run = cluster,
     .parts = parts,
     .group = "cluster",
     .since = "3.0.0",
     .syntax = "subcommand [argument ...]",
     .summary = "A container for Redis Cluster commands.",
     .note = "answers for a cluster of this one node, which serves all slots; a command may name "
             "keys of any slots"},
    {.name = "readonly",
     .arity = 1,
     .flags = loading | stale | fast,
     .run = ok,
     .group = "cluster",
     .since = "3.0.0",
     .syntax = {},
     .summary = "Enables read-only queries for a connection to a Redis Cluster replica node.",
     .note = "changes nothing"},
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
