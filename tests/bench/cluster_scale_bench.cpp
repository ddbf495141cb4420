// A cluster of 10 to 1,000 nodes and 64 to 16,384 shards on paper: what its parts cost is measured
// (planner, envelopes, machines, records, and an etcd of one member where one is installed), what a
// cluster of so many asks of them is calculated from that and from real plans. cluster/SCALE.md
// tells what follows.

#include "cluster/etcd/blocking_calls.hpp"
#include "cluster/etcd/desired_placement.hpp"
#include "cluster/etcd/key_names.hpp"
#include "cluster/etcd/shard_record.hpp"
#include "cluster/links/envelope.hpp"
#include "cluster/placement/placement_change.hpp"
#include "cluster/placement/plan_placement.hpp"
#include "cluster/replication/replica.hpp"
#include "tests/bench/cluster_scale_run.hpp"
#include "tests/bench/report.hpp"
#include "tests/support/etcd_process.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <fmt/format.h>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace warp;
using namespace warp::bench;
namespace etcd = warp::cluster::etcd;
namespace links = warp::cluster::links;
namespace placement = warp::cluster::placement;
namespace rep = warp::cluster::replication;
using rep::boot_id;
using rep::node_id;

constexpr auto usage = R"(cluster_scale_bench [OPTION...]
  --only PATTERN  only sections whose title matches the regular expression
  --quick         small clusters, and no etcd
  --json FILE     all figures and runs for programs
)";

constexpr std::uint32_t rf = 3;
constexpr double heartbeats = 5;     ///< a second: one in 200 ms
constexpr double rereads = 1.0 / 30; ///< a second: of each key by each copy, and of all keys
constexpr double keepalives = 1.0 / 3;
constexpr double held_gib = 64;   ///< of copies on each node, for the time that moving takes
constexpr double copy_mb_s = 100; ///< that a node takes in

template <class Work>
double seconds_of(Work work) {
  const auto began = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

constexpr boot_id some_boot{1'712'345'678'901'234};
constexpr rep::member primary{node_id{801}, some_boot}, follower{node_id{802}, some_boot};

links::shard_message heartbeat_of(std::uint32_t shard) {
  rep::append a{17, 4'711'000, 17, 4'711'000, 1'712'345'678'901'234, {}, 0};
  return {shard_id{shard}, {primary, std::move(a)}};
}
links::shard_message answer_to(std::uint32_t shard) {
  return {shard_id{shard},
          {follower, rep::append_ack{17, 4'711'000, 4'711'000, 1'712'345'678'901'234}}};
}

/// Bytes of the envelope that holds so many of a kind.
template <class Make>
std::size_t envelope_of(std::size_t count, Make make) {
  const links::node_identity self{links::cluster_id{7}, "scale", primary.node, some_boot, 1};
  std::vector<links::shard_message> all;
  for (std::size_t i = 0; i < count; ++i) all.push_back(make(static_cast<std::uint32_t>(i)));
  const auto bytes = links::encode_envelope(self, all);
  if (!bytes) std::abort();
  return bytes->size();
}

/// Nanoseconds for one message in an envelope of 256, both ends.
double ns_of_message() {
  const links::node_identity self{links::cluster_id{7}, "scale", primary.node, some_boot, 1};
  std::vector<links::shard_message> all;
  for (std::uint32_t i = 0; i < 256; ++i) all.push_back(heartbeat_of(i));
  constexpr int rounds = 400;
  const auto s = seconds_of([&] {
    for (int i = 0; i < rounds; ++i)
      if (const auto bytes = links::encode_envelope(self, all);
          !bytes || !links::decode_envelope(*bytes))
        std::abort();
  });
  return s * 1e9 / rounds / static_cast<double>(all.size());
}

/// Nanoseconds for the tick of a copy that the key does not name, as most are in a large cluster.
double ns_of_tick() {
  rep::replica machine{{}, {node_id{3}, boot_id{1}}, {}, 0};
  static_cast<void>(
      machine.step(rep::event::authority_read{7, {3, primary, {primary, follower}, {}, 0}}, 0));
  constexpr int rounds = 500'000;
  const auto s = seconds_of([&] {
    for (int i = 0; i < rounds; ++i)
      if (machine.step(rep::event::tick{}, i).size() > 1) std::abort();
  });
  return s * 1e9 / rounds;
}

std::string record_of(const std::vector<node_id>& nodes) {
  etcd::shard_record r{17, {nodes[0], some_boot}, {}, {}, 0};
  for (const auto n : nodes) r.isr.push_back({n, some_boot});
  return etcd::to_value(r);
}

/// Bytes of a key with its value in an answer of the gateway: base64, revisions as text.
std::size_t listed_bytes(std::size_t key, std::size_t value) {
  const auto base64 = [](std::size_t n) { return (n + 2) / 3 * 4; };
  return base64(key) + base64(value) +
         std::string_view{R"({"key":"","create_revision":"12345678","mod_revision":"12345678",)"
                          R"("version":"1234","value":""},)"}
             .size();
}

struct parts {
  double message_ns = 0, tick_ns = 0, parse_us = 0;
  double changes_s = 0, reads_s = 0; ///< compare-and-sets, and reads of a key; 0: not measured
};

/// What an etcd of one member does on this machine: it shares the processor with its client.
void measure_etcd(report& out, parts& found) {
  constexpr std::uint32_t keys = 16'384;
  try {
    warp::testing::etcd_process process;
    etcd::client_options options;
    options.connection.endpoints = {process.endpoint()};
    options.attempt_timeout = std::chrono::seconds{30};
    options.request_timeout = std::chrono::seconds{60};
    options.in_flight_max = 64;
    options.queue_max = 2 * keys;
    const auto client = etcd::client::create(options);
    const auto names = etcd::key_names::of("scale");
    if (!client || !names) std::abort();
    const auto value = record_of({node_id{801}, node_id{802}, node_id{803}});
    const auto change_all = [&](etcd::revision_t of_missing) {
      std::atomic<std::uint32_t> left{keys};
      std::atomic<std::uint32_t> done{0};
      for (std::uint32_t s = 0; s < keys; ++s) {
        const auto key = names->shard(shard_id{s});
        (*client)->txn({.compares = {{key, etcd::compare::target::create_revision, of_missing}},
                        .success = {etcd::put_request{key, value, 0}}},
                       [&](const etcd::txn_result& got) {
                         if (got.what == etcd::txn_result::outcome::done) ++done;
                         --left;
                         left.notify_all();
                       });
      }
      for (auto n = left.load(); n != 0; n = left.load()) left.wait(n);
      return done.load();
    };
    std::uint32_t made = 0;
    const auto s = seconds_of([&] { made = change_all(0); });
    found.changes_s = made / s;
    out.add({.name = "compare-and-sets, 64 on their way", .unit = "1/s", .runs = {made / s}});
    std::atomic<std::uint32_t> left{keys};
    const auto reads_s = seconds_of([&] {
      for (std::uint32_t s = 0; s < keys; ++s)
        (*client)->range({.keys = {names->shard(shard_id{s})}},
                         [&](const op_result<etcd::range_answer>&) {
                           --left;
                           left.notify_all();
                         });
      for (auto n = left.load(); n != 0; n = left.load()) left.wait(n);
    });
    found.reads_s = keys / reads_s;
    out.add({.name = "reads of a key, 64 on their way", .unit = "1/s", .runs = {found.reads_s}});
    for (const bool keys_only : {false, true}) {
      std::size_t count = 0;
      std::string why;
      const auto list_s = seconds_of([&] {
        const auto list =
            etcd::range_now(**client, {.keys = {names->prefix(), true}, .keys_only = keys_only});
        if (list)
          count = list->keys.size();
        else
          why = list.status().to_string();
      });
      const auto what = fmt::format("list of {} keys{}", keys, keys_only ? ", without values" : "");
      if (why.empty() && count == made)
        out.add({.name = what, .unit = "ms", .runs = {list_s * 1e3}});
      else
        out.note(what + ": " + (why.empty() ? fmt::format("{} came", count) : why));
    }
  } catch (const std::exception& e) {
    out.note(fmt::format("no etcd was measured: {}", e.what()));
  }
}

parts measure_parts(report& out) {
  parts found;
  out.section("parts, measured");
  found.message_ns = ns_of_message();
  found.tick_ns = ns_of_tick();
  const auto add = [&](std::string name, std::string unit, double value) {
    out.add({.name = std::move(name), .unit = std::move(unit), .runs = {value}});
  };
  for (const std::size_t n : {1, 16, 256}) {
    add(fmt::format("envelope of {} heartbeats", n), "B",
        static_cast<double>(envelope_of(n, heartbeat_of)));
    add(fmt::format("envelope of {} answers", n), "B",
        static_cast<double>(envelope_of(n, answer_to)));
  }
  add("a message encoded and decoded", "ns", found.message_ns);
  add("tick of a copy that its key does not name", "ns", found.tick_ns);
  const auto value = record_of({node_id{801}, node_id{802}, node_id{803}});
  constexpr int rounds = 5'000;
  found.parse_us = seconds_of([&] {
                     for (int i = 0; i < rounds; ++i)
                       if (!etcd::read_shard_record("shards/1", value)) std::abort();
                   }) *
                   1e6 / rounds;
  add("record of a shard with 3 members", "B", static_cast<double>(value.size()));
  add("the same in a list", "B", static_cast<double>(listed_bytes(24, value.size())));
  add("the same, read", "us", found.parse_us);
  if (out.quick())
    out.note("a quick run measures no etcd");
  else
    measure_etcd(out, found);
  return found;
}

struct size {
  std::uint32_t nodes, shards, zones;
};

std::vector<placement::placement_node> nodes_of(const size& c) {
  std::vector<placement::placement_node> nodes;
  for (std::uint32_t i = 0; i < c.nodes; ++i)
    nodes.push_back({.id = node_id{i + 1}, .zone = fmt::format("zone {}", i % c.zones)});
  return nodes;
}

std::size_t most_copies(const std::map<node_id, std::size_t>& by_node) {
  std::size_t most = 0;
  for (const auto& [node, copies] : by_node) most = std::max(most, copies);
  return most;
}

class paper {
public:
  paper(report& out, const parts& found, const size& c) : out_(out), found_(found), c_(c) {}

  void write() {
    out_.section(fmt::format("{} nodes in {} zones, {} shards", c_.nodes, c_.zones, c_.shards));
    if (!out_.wanted_section()) return;
    auto nodes = nodes_of(c_);
    placement::shard_nodes plan;
    add("plan of a new cluster, measured", "ms",
        seconds_of([&] { plan = planned(nodes, {}); }) * 1e3);
    add("its key placement/desired", "KB",
        static_cast<double>(etcd::to_value(etcd::desired_placement{plan}).size()) / 1e3);
    heartbeat_load(plan);
    etcd_load();
    lose("a node", nodes, plan, [](const auto& n) { return n.id == node_id{1}; });
    lose("a zone", nodes, plan, [](const auto& n) { return n.zone == "zone 0"; });
    if (c_.shards <= (out_.quick() ? 64 : 1'024)) simulate_loss(nodes, plan);
    nodes.push_back({.id = node_id{c_.nodes + 1}, .zone = "zone 0"});
    const auto joined = planned(nodes, plan);
    add("copies that move when a node joins", "",
        static_cast<double>(placement::change_between(plan, joined).copies_to_make));
  }

private:
  void add(std::string name, std::string unit, double value) {
    out_.add({.name = std::move(name), .unit = std::move(unit), .runs = {value}});
  }
  [[nodiscard]] placement::shard_nodes planned(const std::vector<placement::placement_node>& nodes,
                                               const placement::shard_nodes& current) const {
    const auto plan = placement::plan_placement(nodes, c_.shards, rf, current);
    if (!plan) std::abort();
    return *plan;
  }

  /// An envelope for each pair of a primary's node and another's, and one back, if all of a pair
  /// beat together; at most one in each tick of 20 ms, if none do.
  void heartbeat_load(const placement::shard_nodes& plan) {
    std::map<std::pair<node_id, node_id>, std::size_t> pairs;
    for (const auto& shard : plan)
      for (std::size_t i = 1; i < shard.size(); ++i) ++pairs[{shard[0], shard[i]}];
    double bytes = 0, messages = 0, apart = 0;
    std::map<std::size_t, double> size_of;
    for (const auto& [pair, count] : pairs) {
      auto& both = size_of[count];
      if (both == 0)
        both =
            static_cast<double>(envelope_of(count, heartbeat_of) + envelope_of(count, answer_to));
      bytes += both * heartbeats;
      messages += 2 * static_cast<double>(count) * heartbeats;
      apart += 2 * static_cast<double>(std::min<std::size_t>(count, 10)) * heartbeats;
    }
    const auto envelopes = 2 * static_cast<double>(pairs.size()) * heartbeats;
    add("heartbeat envelopes that a node sends, gathered", "1/s", envelopes / c_.nodes);
    add("and scattered over its ticks", "1/s", apart / c_.nodes);
    add("their bytes, gathered", "KB/s", bytes / 1e3 / c_.nodes);
    add("processor for their messages, of one core", "%",
        messages * found_.message_ns / 1e9 * 100 / c_.nodes);
    add("ticks of all its machines (50/s), of one core", "%",
        50.0 * c_.shards * found_.tick_ns / 1e9 * 100);
    add("links of a node", "", c_.nodes - 1);
    add("signs of life on quiet links that it sends", "1/s", heartbeats * (c_.nodes - 1));
  }

  [[nodiscard]] double list_mb() const {
    const auto record = record_of({node_id{801}, node_id{802}, node_id{803}});
    return static_cast<double>(listed_bytes(24, record.size())) * c_.shards / 1e6;
  }

  void etcd_load() {
    add("etcd: leases kept", "1/s", keepalives * c_.nodes);
    add("etcd: lists in 30 s without values", "1/s", rereads * c_.nodes);
    add("etcd: their bytes", "MB/s",
        rereads * c_.nodes * static_cast<double>(listed_bytes(24, 0)) * c_.shards / 1e6);
    add("etcd: keys that copies read again, all machines", "1/s", rereads * c_.nodes * c_.shards);
    add("etcd: and by the copies that are named alone", "1/s", rereads * rf * c_.shards);
    add("a list with values", "MB", list_mb());
    add("reading it", "ms", found_.parse_us * c_.shards / 1e3);
  }

  template <class Lost>
  void lose(const std::string& what, std::vector<placement::placement_node> nodes,
            const placement::shard_nodes& plan, Lost lost) {
    double changes = 0, take_overs = 0;
    std::map<node_id, bool> gone;
    for (auto& n : nodes) gone[n.id] = n.leaves = lost(n);
    for (const auto& shard : plan) {
      if (std::ranges::any_of(shard, [&](node_id n) { return gone[n]; })) ++changes;
      if (gone[shard[0]]) ++take_overs;
    }
    placement::shard_nodes after;
    const auto plan_s = seconds_of([&] { after = planned(nodes, plan); });
    const auto copies = static_cast<double>(placement::change_between(plan, after).copies_to_make);
    std::map<node_id, std::size_t> to;
    for (std::size_t s = 0; s < plan.size(); ++s)
      for (const auto n : after[s])
        if (std::ranges::find(plan[s], n) == plan[s].end()) ++to[n];
    const auto named = [&](const char* rest) { return what + " is lost: " + rest; };
    add(named("changes of keys at once"), "", changes);
    add(named("take-overs among them"), "", take_overs);
    if (found_.changes_s > 0) add(named("etcd makes them in"), "s", changes / found_.changes_s);
    add(named("events to all nodes"), "M", changes * c_.nodes / 1e6);
    add(named("one list by each node"), "GB", list_mb() * c_.nodes / 1e3);
    add(named("the same plan without it, measured"), "ms", plan_s * 1e3);
    add(named("copies to make"), "", copies);
    add(named("changes of keys for them"), "", 2 * copies);
    const auto shard_gb = held_gib * 1.073741824 * c_.nodes / (double{rf} * c_.shards);
    add(named("made in"), "min",
        static_cast<double>(most_copies(to)) * shard_gb * 1e3 / copy_mb_s / 60);
  }

  /// The same loss of a zone, with a machine for each copy and an etcd as fast as the one measured.
  void simulate_loss(std::vector<placement::placement_node> nodes,
                     const placement::shard_nodes& plan) {
    scale_run what{.plan = plan};
    for (auto& n : nodes)
      if (n.zone == "zone 0") n.leaves = true, what.lost.push_back(n.id);
    what.after = planned(nodes, plan);
    if (found_.changes_s > 0) what.change_us = 1e6 / found_.changes_s;
    if (found_.reads_s > 0) what.read_us = 1e6 / found_.reads_s;
    const auto f = run(what);
    const auto count = [](std::uint64_t n) { return static_cast<double>(n); };
    add("simulated loss of a zone: half of its primaries are back after", "s", f.served_half_s);
    add("simulated: all are back after", "s", f.served_s);
    add("simulated: all copies are back, data aside, after the plan by", "s", f.whole_s);
    add("simulated: changes of keys", "", count(f.changes));
    add("simulated: compare-and-sets asked for", "", count(f.asked));
    add("simulated: reads of keys", "", count(f.reads));
    add("simulated: etcd's longest queue", "s", f.etcd_waits_s);
    add("simulated: requests that waited too long for etcd", "", count(f.given_up));
    if (!f.ended) out_.note("simulated: not whole again within a minute");
  }

  report& out_;
  const parts& found_;
  size c_;
};

} // namespace

int main(int argc, char** argv) {
  report out{argc, argv, usage};
  out.begin("clusters of many nodes and shards, on paper", 120);
  out.setting("copies of each shard", std::to_string(rf));
  out.setting("data on each node",
              fmt::format("{} GiB of copies, taken in at {} MB/s", held_gib, copy_mb_s));
  out.setting("calculated", "all but what says that it is measured");
  const auto found = measure_parts(out);
  std::vector<size> sizes{{10, 64, 5}, {10, 1'024, 5}, {100, 1'024, 5}};
  if (!out.quick())
    sizes.insert(sizes.end(), {{100, 16'384, 5}, {1'000, 1'024, 5}, {1'000, 16'384, 5}});
  for (const auto& c : sizes) paper{out, found, c}.write();
  return 0;
}
