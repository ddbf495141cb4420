// warp cluster: what an operator does to a cluster, by way of etcd.

#include "cluster/config_units.hpp"
#include "cluster/operate/cluster_operator.hpp"
#include "cluster/programs/tool.hpp"

#include <algorithm>
#include <charconv>
#include <fmt/format.h>
#include <fmt/ranges.h>

namespace warp::programs {

namespace {

using cluster::cluster_facts;
using cluster::cluster_operator;
using cluster::replication::node_id;

struct cluster_arguments {
  std::string etcd = "http://127.0.0.1:2379", ca, cert, key;
  std::string name;
  std::string nodes = "1,2,3", level = "durable", zone;
  std::uint32_t shards = 64, rf = 3, min_isr = 2;
  std::uint32_t node = 0, to = 0, shard = 0;
  std::string wait = "30s";
  bool yes = false;
};

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> parts;
  while (!text.empty()) {
    const auto comma = text.find(',');
    if (comma != 0) parts.emplace_back(text.substr(0, comma));
    text = comma == std::string_view::npos ? std::string_view{} : text.substr(comma + 1);
  }
  return parts;
}

/// Nothing: the mistake was shown.
std::vector<node_id> node_list(tool& t, const std::string& text) {
  std::vector<node_id> nodes;
  for (const auto& part : split(text)) {
    std::uint32_t id = 0;
    const auto* end = part.data() + part.size();
    if (std::from_chars(part.data(), end, id).ptr != end || id == 0) {
      t.misuse(fmt::format("'{}' is no id of a node: they are numbers from 1 on", part));
      return {};
    }
    nodes.emplace_back(id);
  }
  if (nodes.empty()) t.misuse("name at least one node");
  return nodes;
}

std::unique_ptr<cluster_operator> connect(tool& t, const cluster_arguments& a) {
  auto made = cluster_operator::connect(
      a.name,
      {.endpoints = split(a.etcd), .ca_file = a.ca, .cert_file = a.cert, .key_file = a.key});
  if (made) return std::move(*made);
  t.fail(made.status(), "cluster");
  return nullptr;
}

void init(tool& t, const cluster_arguments& a) {
  const auto nodes = node_list(t, a.nodes);
  if (nodes.empty()) return;
  const auto of = connect(t, a);
  if (!of) return;
  using cluster::replication::ack_level;
  const auto status =
      of->init({nodes, a.shards, a.rf, std::min(a.min_isr, a.rf),
                a.level == "replicated" ? ack_level::replicated : ack_level::durable});
  if (!t.check(status, "cluster init")) return;
  if (!t.json)
    fmt::print("Cluster \"{}\" is made: {} shards, {} copies of each. Start its nodes with\n"
               "  warpd --cluster.name {} --cluster.node ID --cluster.etcd {} ...\n",
               a.name, a.shards, a.rf, a.name, a.etcd);
}

std::string list_of(const std::vector<node_id>& nodes) {
  std::vector<std::uint32_t> ids;
  for (const auto n : nodes) ids.push_back(n.value);
  return fmt::format("{}", fmt::join(ids, ","));
}

void show_json(output& out, const cluster_facts& facts, const cluster::cluster_map& map) {
  std::string nodes, shards, refused;
  for (const auto& n : map.nodes)
    nodes += fmt::format("{}{{\"node\": {}, \"live\": {}, {}, {}, {}, {}, {}}}",
                         nodes.empty() ? "" : ", ", n.id.value, n.live, json_bytes("zone", n.zone),
                         json_bytes("rpc", n.rpc), json_bytes("resp", n.resp),
                         json_bytes("http", n.http), json_bytes("links", n.links));
  for (std::size_t i = 0; i < map.shards.size(); ++i) {
    const auto& s = map.shards[i];
    std::string wanted;
    if (facts.desired && i < facts.desired->value.shards.size())
      wanted = list_of(facts.desired->value.shards[i]);
    shards += fmt::format("{}{{\"shard\": {}, \"epoch\": {}, \"primary\": {}, \"isr\": [{}], "
                          "\"learners\": [{}], \"wanted\": [{}]}}",
                          shards.empty() ? "" : ", ", i, s.epoch, s.primary.value, list_of(s.isr),
                          list_of(s.learners), wanted);
  }
  for (const auto& status : facts.refused)
    refused += (refused.empty() ? "{" : ", {") + json_bytes("problem", status.message()) + "}";
  const auto& c = facts.config->value;
  out.line(
      fmt::format("{{{}, \"shard_count\": {}, \"rf\": {}, \"min_isr\": {}, \"level\": \"{}\", "
                  "\"nodes\": [{}], \"shards\": [{}], \"problems\": [{}]}}",
                  json_bytes("cluster", map.name), c.shards, c.rf, c.min_isr,
                  c.level == cluster::replication::ack_level::durable ? "durable" : "replicated",
                  nodes, shards, refused));
}

/// Shards that stand alike take one line.
void show_text(output& out, const cluster_facts& facts, const cluster::cluster_map& map) {
  const auto& c = facts.config->value;
  out.line(fmt::format("cluster \"{}\": {} shards, {} copies of each, writes need {} in sync; {}",
                       map.name, c.shards, c.rf, c.min_isr,
                       c.level == cluster::replication::ack_level::durable
                           ? "committed when all of them have it on disk"
                           : "committed when all of them have it"));
  std::size_t headless = 0, short_of = 0;
  for (std::size_t i = 0; i < map.shards.size(); ++i) {
    const auto& s = map.shards[i];
    const auto* primary = map.find(s.primary);
    headless += s.epoch == 0 || !primary || !primary->live;
    short_of += s.isr.size() < c.rf;
  }
  out.line(fmt::format("shards without a live primary: {}; with fewer copies in sync than wanted: "
                       "{}",
                       headless, short_of));
  for (const auto& n : map.nodes) {
    std::size_t primaries = 0, copies = 0;
    for (const auto& s : map.shards) {
      primaries += s.primary == n.id && s.epoch != 0;
      copies += std::ranges::find(s.isr, n.id) != s.isr.end();
    }
    out.line(
        fmt::format("node {:>4}  {}  primary of {:>5}, in sync for {:>5}  {}{}", n.id.value,
                    n.live ? "up  " : "DOWN", primaries, copies,
                    n.live ? fmt::format("resp {} rpc {} http {}", n.resp.empty() ? "-" : n.resp,
                                         n.rpc.empty() ? "-" : n.rpc, n.http.empty() ? "-" : n.http)
                           : std::string{},
                    n.zone.empty() ? "" : " zone " + printable(n.zone)));
  }
  const auto line_of = [&](std::size_t i) {
    const auto& s = map.shards[i];
    if (s.epoch == 0) return std::string{"unknown"};
    return fmt::format("primary {}  in sync {}  learners {}", s.primary.value, list_of(s.isr),
                       s.learners.empty() ? "-" : list_of(s.learners));
  };
  for (std::size_t i = 0; i < map.shards.size();) {
    auto end = i + 1;
    const auto line = line_of(i);
    while (end < map.shards.size() && line_of(end) == line) ++end;
    out.line(end == i + 1 ? fmt::format("shard {:>5}        {}", i, line)
                          : fmt::format("shard {:>5}-{:<5}  {}", i, end - 1, line));
    i = end;
  }
  for (const auto& status : facts.refused) out.line("problem: " + printable(status.message()));
}

void status(tool& t, const cluster_arguments& a) {
  const auto of = connect(t, a);
  if (!of) return;
  const auto facts = of->look();
  if (!t.check(facts.status(), "cluster status")) return;
  const auto map = cluster::make_map(*facts, a.name, node_id{0}, facts->config->value.shards);
  output out;
  t.json ? show_json(out, *facts, map) : show_text(out, *facts, map);
  t.check(out.finish(), "cluster status");
}

template <class Work>
void change(tool& t, const cluster_arguments& a, const char* what, Work work) {
  const auto of = connect(t, a);
  if (of) t.check(work(*of), what);
}

std::chrono::milliseconds patience_of(tool& t, const cluster_arguments& a) {
  const auto wait = duration_of(a.wait);
  if (wait) return *wait;
  t.misuse(wait.status().message());
  return {};
}

} // namespace

void add_cluster_commands(CLI::App& app, tool& t) {
  const auto a = std::make_shared<cluster_arguments>();
  auto* all =
      app.add_subcommand("cluster", "Make, look at and change a cluster, by way of its etcd");
  all->require_subcommand(1);
  all->fallthrough();
  all->add_option("--etcd", a->etcd, "http(s)://HOST:PORT, several with commas between")
      ->envname("WARP_CLUSTER_ETCD")
      ->capture_default_str();
  all->add_option("--name", a->name, "Name of the cluster")
      ->envname("WARP_CLUSTER_NAME")
      ->required();
  all->add_option("--etcd-ca", a->ca, "PEM file of who signed etcd's certificates");
  all->add_option("--etcd-cert", a->cert, "PEM file to show to etcd");
  all->add_option("--etcd-key", a->key, "PEM file of its key");
  const auto sub = [&](const char* name, const char* about) {
    return all->add_subcommand(name, about);
  };

  auto* make = sub("init", "Make a cluster; its nodes may run already, or be started then");
  make->add_option("--nodes", a->nodes, "Ids of its nodes, with commas between")
      ->capture_default_str();
  make->add_option("--shards", a->shards, "Shards, a power of two; cannot be changed")
      ->capture_default_str();
  make->add_option("--rf", a->rf, "Copies of each shard")->capture_default_str();
  make->add_option("--min-isr", a->min_isr, "Fewer copies in sync refuse writes")
      ->capture_default_str();
  make->add_option("--level", a->level, "What a record needs to be committed")
      ->check(CLI::IsMember({"durable", "replicated"}))
      ->capture_default_str();
  make->callback([&t, a] { init(t, *a); });

  sub("status", "Nodes and shards as etcd has them")->callback([&t, a] { status(t, *a); });

  auto* join = sub("join", "Give a node that runs its share of the shards");
  join->add_option("NODE", a->node)->required();
  join->add_option("--zone", a->zone, "Instead of what it says itself");
  join->callback([&t, a] {
    change(t, *a, "cluster join",
           [&](cluster_operator& of) { return of.join(node_id{a->node}, a->zone); });
  });

  auto* leave = sub("leave", "Take a node's copies elsewhere; stop it when status shows none");
  leave->add_option("NODE", a->node)->required();
  leave->callback([&t, a] {
    change(t, *a, "cluster leave",
           [&](cluster_operator& of) { return of.leave(node_id{a->node}); });
  });

  auto* resize = sub("resize", "Change how many copies of each shard there are");
  resize->add_option("--rf", a->rf, "Copies of each shard")->required();
  resize->add_option("--min-isr", a->min_isr, "Fewer copies in sync refuse writes")->required();
  resize->callback([&t, a] {
    change(t, *a, "cluster resize",
           [&](cluster_operator& of) { return of.resize(a->rf, a->min_isr); });
  });

  auto* move = sub("move", "Say which nodes are to hold a shard, the preferred primary first");
  move->add_option("--shard", a->shard)->required();
  move->add_option("--to", a->nodes, "Ids of nodes, with commas between")->required();
  move->callback([&t, a] {
    const auto nodes = node_list(t, a->nodes);
    if (!nodes.empty())
      change(t, *a, "cluster move",
             [&](cluster_operator& of) { return of.move(shard_id{a->shard}, nodes); });
  });

  auto* over = sub("switchover", "Make another copy of a shard its primary, and wait for it");
  over->add_option("--shard", a->shard)->required();
  over->add_option("--to", a->to, "Id of a node that holds a copy")->required();
  over->add_option("--wait", a->wait, "How long")->capture_default_str();
  over->callback([&t, a] {
    const auto wait = patience_of(t, *a);
    change(t, *a, "cluster switchover", [&](cluster_operator& of) {
      return of.switch_over(shard_id{a->shard}, node_id{a->to}, wait);
    });
  });

  auto* loss = sub("accept-loss", "Give up what a node's copy of a shard does not have, where no "
                                  "copy that has it comes back; refused while one lives");
  loss->add_option("--shard", a->shard)->required();
  loss->add_option("--node", a->node, "Whose copy becomes the truth")->required();
  loss->add_option("--wait", a->wait, "For its answer")->capture_default_str();
  loss->add_flag("--yes", a->yes, "Acknowledged writes may be lost: this is meant");
  loss->callback([&t, a] {
    if (!a->yes)
      return t.misuse("acknowledged writes of this shard may be lost for ever: say --yes if that "
                      "is meant");
    const auto wait = patience_of(t, *a);
    change(t, *a, "cluster accept-loss", [&](cluster_operator& of) {
      return of.accept_loss(shard_id{a->shard}, node_id{a->node}, wait);
    });
  });
}

} // namespace warp::programs
