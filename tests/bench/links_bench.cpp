// Links between two nodes, over loopback in one process: log records in Appends of 100 (16 B + 100
// B each), large records, heartbeats of many shards, and the way there and back. CPU is of both
// ends together, encoding and decoding included.
#include "cluster/links/peer_network.hpp"
#include "tests/bench/process_usage.hpp"
#include "tests/bench/report.hpp"

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <spdlog/spdlog.h>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace warp;
using namespace warp::bench;
using namespace warp::cluster::links;
namespace rep = warp::cluster::replication;
using clock_type = std::chrono::steady_clock;

struct counting_listener final : link_listener {
  std::atomic<std::uint64_t> messages{0}, linked{0};
  void on_messages(node_id, std::vector<shard_message> got) override {
    messages += got.size();
    messages.notify_all();
  }
  void on_link(const link_event& e) override {
    linked = e.linked ? 1 : 0;
    linked.notify_all();
  }
};

struct node {
  counting_listener seen;
  std::unique_ptr<peer_network> network;
  explicit node(std::uint32_t id) {
    node_identity self{cluster_id{1}, "bench", node_id{id}, boot_id{1}, id};
    auto made = peer_network::make(self, {}, seen);
    if (!made.ok() || !(*made)->start().ok()) std::abort();
    network = std::move(*made);
  }
};

shard_message append_of(int records, std::size_t bytes) {
  std::vector<rep::log_record> all;
  for (lsn_t i = 1; i <= static_cast<lsn_t>(records); ++i)
    all.push_back({i, 1, false, std::string(bytes, 'r')});
  rep::append a{1, 0, 1, 0, 0, std::move(all)};
  return {shard_id{1}, {{node_id{1}, boot_id{1}}, std::move(a)}};
}

struct measured {
  double seconds = 0, cpu = 0;
  std::uint64_t messages = 0;
};

/// Sends copies of these messages for about `time` as fast as they are taken.
measured pump(node& from, node& to, const std::vector<shard_message>& batch,
              std::chrono::milliseconds time) {
  const auto before = process_usage::now();
  const auto first = to.seen.messages.load();
  const auto began = clock_type::now();
  std::uint64_t sent = 0;
  // Ahead by so much at most, so that nothing is dropped for want of room.
  const auto ahead = std::max<std::uint64_t>(
      batch.size(), (8u << 20) / std::max<std::size_t>(1, encoded_bytes(batch[0])));
  do {
    for (auto got = to.seen.messages.load(); first + sent > got + ahead;
         got = to.seen.messages.load())
      to.seen.messages.wait(got);
    auto copy = batch;
    if (!from.network->send(node_id{2}, std::move(copy)).ok()) std::abort();
    sent += batch.size();
  } while (clock_type::now() - began < time);
  for (auto got = to.seen.messages.load(); got < first + sent; got = to.seen.messages.load())
    to.seen.messages.wait(got);
  return {std::chrono::duration<double>(clock_type::now() - began).count(),
          (process_usage::now() - before).cpu_seconds, sent};
}

} // namespace

int main(int argc, char** argv) {
  spdlog::set_level(spdlog::level::off);
  report out{argc, argv, "links_bench: what the links between nodes carry, and what it costs.\n"};
  const std::chrono::milliseconds time{
      static_cast<int>(1'000 * out.seconds(out.quick() ? 0.3 : 2))};
  const int runs = out.quick() ? 1 : 5;
  out.begin("links: two nodes in one process, loopback, no TLS", 60);
  node a{1}, b{2};
  a.network->set_peer(node_id{2}, {"127.0.0.1", b.network->port()});
  b.network->set_peer(node_id{1}, {"127.0.0.1", a.network->port()});
  a.seen.linked.wait(0);
  b.seen.linked.wait(0);

  const auto throughput = [&](const std::string& name, const std::vector<shard_message>& batch,
                              double records, double bytes) {
    if (!out.wanted(name)) return;
    static_cast<void>(pump(a, b, batch, std::chrono::milliseconds{200}));
    figure mb{.name = name, .unit = "MB/s", .runs = {}};
    figure rate{.name = name + ": records", .unit = "M/s", .runs = {}};
    figure cpu{.name = name + ": CPU of a record, both ends", .unit = "ns", .runs = {}};
    for (int i = 0; i < runs; ++i) {
      const auto m = pump(a, b, batch, time);
      const auto n = static_cast<double>(m.messages);
      mb.runs.push_back(n * bytes / m.seconds / 1e6);
      rate.runs.push_back(n * records / m.seconds / 1e6);
      cpu.runs.push_back(m.cpu / (n * records) * 1e9);
    }
    out.add(std::move(mb));
    out.add(std::move(rate));
    out.add(std::move(cpu));
  };
  const auto hundred = append_of(100, 116);
  throughput("Appends of 100 records of 116 B", {hundred}, 100, 11'600);
  throughput("Appends of one record of 116 B, 100 at once",
             std::vector<shard_message>(100, append_of(1, 116)), 1, 116);
  throughput("Appends of one record of 64 KiB", {append_of(1, 65'536)}, 1, 65'536);
  throughput("Appends of one record of 1 MiB", {append_of(1, 1u << 20)}, 1, 1u << 20);
  throughput("heartbeats of 1,000 shards", std::vector<shard_message>(1'000, append_of(0, 0)), 1,
             80);
  if (out.wanted("an empty Append there, its answer back")) {
    figure f{.name = "an empty Append there, its answer back", .unit = "us", .runs = {}};
    figure cpu{
        .name = "an empty Append there, its answer back: CPU of both", .unit = "us", .runs = {}};
    const auto beat = append_of(0, 0);
    const shard_message answer{shard_id{1},
                               {{node_id{2}, boot_id{1}}, rep::append_ack{1, 1, 1, {}}}};
    for (int i = 0; i < runs; ++i) {
      const auto before = process_usage::now();
      const auto began = clock_type::now();
      constexpr int rounds = 1'000;
      for (int r = 0; r < rounds; ++r) {
        const auto there = b.seen.messages.load(), back = a.seen.messages.load();
        if (!a.network->send(node_id{2}, {beat}).ok()) std::abort();
        b.seen.messages.wait(there);
        if (!b.network->send(node_id{1}, {answer}).ok()) std::abort();
        a.seen.messages.wait(back);
      }
      f.runs.push_back(
          std::chrono::duration<double, std::micro>(clock_type::now() - began).count() / rounds);
      cpu.runs.push_back((process_usage::now() - before).cpu_seconds * 1e6 / rounds);
    }
    out.add(std::move(f));
    out.add(std::move(cpu));
  }
}
