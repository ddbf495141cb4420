// The engine beside embedded stores, each in turns with it on the same load: get and put, single
// and in batches, written async and sync; 1 M keys of 16 B, values of 100 B, one thread. RocksDB
// and LMDB keep what they are told; absl::flat_hash_map and std::unordered_map keep nothing, ours
// has its log on.

#include "tests/bench/embedded_store.hpp"
#include "tests/bench/hardware.hpp"
#include "tests/bench/live_engine.hpp"
#include "tests/bench/load.hpp"
#include "tests/bench/map_store.hpp"
#include "tests/bench/report.hpp"

#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

namespace {

using namespace warp;
using namespace warp::bench;

constexpr auto usage = R"(peers_embedded_bench [OPTION...]
  --keys N        keys, default 1000000
  --value N       bytes of a value, default 100
  --seconds S     of one run, default 2
  --only PATTERN  only figures whose "section: name" matches the regular expression
  --quick         short runs
  --json FILE     all figures and runs for programs
)";

class unordered_map_store final : public embedded_store {
public:
  void execute(std::span<const operation> ops, std::span<storage::op_reply> replies,
               storage::value_arena& arena) override {
    map_.execute(ops, replies, arena);
  }

private:
  map_store map_{1'000'000};
};

std::vector<embedded_peer> installed_peers() {
  std::vector<embedded_peer> peers;
#if defined(WARP_BENCH_ROCKSDB)
  peers.push_back(rocksdb_peer());
#endif
#if defined(WARP_BENCH_LMDB)
  peers.push_back(lmdb_peer());
#endif
#if defined(WARP_BENCH_ABSL)
  peers.push_back(absl_map_peer());
#endif
  peers.push_back({.name = "unordered_map",
                   .settings = "std::unordered_map<std::string, std::string> in 64 pieces with a "
                               "std::mutex each, space reserved; no log",
                   .open = [](const std::string&, bool) -> std::unique_ptr<embedded_store> {
                     return std::make_unique<unordered_map_store>();
                   }});
  return peers;
}

std::string missing_peers() {
  std::string names;
#if !defined(WARP_BENCH_ROCKSDB)
  names += " RocksDB (librocksdb-dev)";
#endif
#if !defined(WARP_BENCH_LMDB)
  names += " LMDB (liblmdb-dev)";
#endif
#if !defined(WARP_BENCH_ABSL)
  names += " absl (libabsl-dev)";
#endif
  return names;
}

void compare(report& out, const embedded_peer& peer, std::uint64_t keys, std::size_t value_bytes,
             int repeats, double seconds) {
  const auto measure = [&](live_engine& ours, embedded_store& theirs, const std::string& name,
                           const load& l, bool thousands) {
    if (!out.wanted(name)) return;
    figure f{.name = name,
             .unit = thousands ? "k/s" : "M/s",
             .peer = peer.name.substr(0, peer.name.find(' ')),
             .ratio_bar = 1};
    const double scale = thousands ? 1e3 : 1;
    for (int i = 0; i < repeats; ++i) {
      f.runs.push_back(drive(*ours, l, seconds).rate_m() * scale);
      ours.settle();
      f.peer_runs.push_back(drive(theirs, l, seconds).rate_m() * scale);
    }
    out.add(std::move(f));
  };
  out.section(peer.name + (peer.logs ? "" : " (it keeps nothing; ours logs)"));
  for (const bool synced : {false, true}) {
    if (synced && !peer.logs) break;
    const auto name_of = [&](unsigned puts, std::size_t batch) {
      return fmt::format("{}, {}{}", puts ? "put" : "get", batch == 1 ? "single" : "batches of 256",
                         synced              ? ", sync"
                         : puts && peer.logs ? ", async"
                                             : "");
    };
    std::vector<std::string> names;
    for (const unsigned puts : {0u, 100u})
      for (const std::size_t batch : {1u, 256u})
        if (!synced || puts != 0) names.push_back(name_of(puts, batch));
    if (!out.wanted_any(names)) continue;
    const testing::temp_folder folder;
    live_engine ours;
    const auto theirs = peer.open(folder.path(), synced);
    fill(*ours, keys, value_bytes);
    fill(*theirs, keys, value_bytes);
    theirs->tidy();
    ours.settle();
    const auto level = synced ? durability::sync : durability::unspecified;
    for (const unsigned puts : {0u, 100u})
      for (const std::size_t batch : {1u, 256u}) {
        if (synced && puts == 0) continue;
        measure(ours, *theirs, name_of(puts, batch),
                {.put_percent = puts,
                 .batch = batch,
                 .keys = keys,
                 .value_bytes = value_bytes,
                 .level = level},
                synced);
      }
  }
}

} // namespace

int main(int argc, char** argv) {
  report out{argc, argv, usage};
  const auto keys = out.keys(1'000'000);
  const std::size_t value_bytes = out.options().value_bytes ? out.options().value_bytes : 100;
  const int repeats = out.quick() ? 1 : 3;
  const double seconds = out.seconds(out.quick() ? 0.5 : 2);
  const auto peers = installed_peers();
  out.begin("embedded stores, one thread",
            static_cast<double>(peers.size()) * (25 + 6 * repeats * seconds * 2.3));
  out.setting("load", fmt::format("{} keys of 16 B, values of {} B, uniform; put: overwrites", keys,
                                  value_bytes));
  out.setting("ours", "64 shards, default options, checkpoints when due");
  for (const auto& peer : peers) out.setting(peer.name, peer.settings);
  if (const auto missing = missing_peers(); !missing.empty())
    out.setting("skipped, not installed (deploy/setup --bench)", missing);
  out.setting("runs", fmt::format("{} of {} s, in turns", repeats, seconds));
  out.setting("data folders", file_system_name(testing::temp_folder{}.path()));
  for (const auto& peer : peers) compare(out, peer, keys, value_bytes, repeats, seconds);
  return 0;
}
