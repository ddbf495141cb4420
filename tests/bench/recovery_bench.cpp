// How fast an engine comes back: from checkpoints and from its log, on 1 and 2 threads, with a warm
// page cache; and how fast Valkey (or Redis) loads the same data from its append-only file and its
// snapshot.

#include "tests/bench/hardware.hpp"
#include "tests/bench/live_engine.hpp"
#include "tests/bench/machine_probes.hpp"
#include "tests/bench/process_usage.hpp"
#include "tests/bench/random_text.hpp"
#include "tests/bench/report.hpp"
#include "tests/bench/resp_peer.hpp"
#include "tests/bench/stopwatch.hpp"
#include "tests/bench/workload.hpp"

#include <fmt/format.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace warp;
using namespace warp::bench;

constexpr auto usage = R"(recovery_bench [OPTION...]
  --keys N        only this many keys; default 1000000, then 10000000 (--quick: only the first)
  --value N       bytes of a value, default 100
  --only PATTERN  only figures whose "section: name" matches the regular expression
  --quick         fewer starts
  --json FILE     all figures and runs for programs
)";

[[noreturn]] void fail(const std::string& why) {
  std::fprintf(stderr, "recovery_bench: %s\n", why.c_str());
  std::exit(1);
}

/// Values of random letters: nothing for a compressor.
class values {
public:
  explicit values(std::size_t bytes) : bytes_(bytes), letters_(random_text(bytes + 65'536)) {}
  [[nodiscard]] std::string_view of(std::uint64_t key) const {
    return std::string_view{letters_}.substr(key * 7'919 % 65'536, bytes_);
  }

private:
  std::size_t bytes_;
  std::string letters_;
};

void fill(storage::engine& db, std::uint64_t keys, const values& v) {
  std::array<key_text, 256> texts;
  std::vector<operation> ops(256);
  std::vector<storage::op_reply> replies(256);
  storage::value_arena arena;
  for (std::uint64_t at = 0; at < keys;) {
    std::size_t n = 0;
    for (; n < ops.size() && at < keys; ++n, ++at) {
      texts[n].set(at);
      ops[n] = {.kind = op_kind::put, .key = texts[n].view(), .value = v.of(at)};
    }
    db.execute(std::span{ops}.first(n), std::span{replies}.first(n), arena);
    for (std::size_t i = 0; i < n; ++i)
      if (replies[i].code != op_code::ok) fail("a put was refused");
  }
}

struct recovered {
  double rate_m =
      0; ///< millions of records a second, from calling open() to an engine that answers
  double cpu_ns = 0; ///< processor time of a record, all threads
};

/// About what so many records take in memory.
std::uint64_t memory_of(std::uint64_t keys) {
  return keys * 192;
}

/// Opens the folder; `keys` keys must be there.
recovered recover(const std::string& folder, unsigned threads, std::uint64_t keys,
                  bool from_checkpoints) {
  // As warm as the page cache: a host may have taken back what a guest had freed, and hands it out
  // again more slowly than records are read. That is not ours, and has lines of its own.
  first_touch_s(memory_of(keys), true);
  const auto used = process_usage::now();
  const auto begin = std::chrono::steady_clock::now();
  auto opened = storage::engine::open({.folder = folder, .recovery_threads = threads});
  const auto seconds = seconds_since(begin);
  const auto cpu_seconds = (process_usage::now() - used).cpu_seconds;
  if (!opened) fail(opened.status().to_string());
  auto& db = **opened;
  const auto& r = db.recovery();
  std::uint64_t present = 0;
  for (std::uint32_t s = 0; s < db.shard_count(); ++s) present += db.stats(shard_id{s}).table.keys;
  if (present != keys) fail(fmt::format("{} keys of {} came back", present, keys));
  if ((from_checkpoints ? r.log_records : r.checkpoint_records) > keys / 100)
    fail("the records came from another place than the one to be measured");
  if (!db.close().ok()) fail("close failed");
  const auto records = static_cast<double>(r.checkpoint_records + r.log_records);
  return {records / seconds / 1e6, cpu_seconds * 1e9 / records};
}

struct ours {
  std::map<unsigned, std::vector<double>> checkpoint, log; // by threads, M records/s
};

/// Our two folders with the same data, opened again and again.
ours measure(report& out, std::uint64_t keys, const values& v, int repeats) {
  testing::temp_folder with_checkpoints, log_only;
  {
    live_engine db{{.folder = with_checkpoints.path()}, live_engine::checkpoints::never};
    fill(*db, keys, v);
    db.settle();
    db.checkpoint_all();
  }
  {
    live_engine db{
        {.folder = log_only.path(), .wal_max_bytes = std::numeric_limits<std::uint64_t>::max() / 2},
        live_engine::checkpoints::never};
    fill(*db, keys, v);
  }
  ours all;
  const auto series = [&](bool checkpoints, double bar) {
    const auto& folder = checkpoints ? with_checkpoints.path() : log_only.path();
    recover(folder, 2, keys, checkpoints); // warms the page cache
    for (const unsigned threads : {1u, 2u}) {
      figure rate{.name =
                      fmt::format("from {}, {} thread{}", checkpoints ? "checkpoints" : "the log",
                                  threads, threads == 1 ? "" : "s"),
                  .unit = "M rec/s"};
      figure per_core{.name = rate.name + ", per core", .unit = "M rec/s", .bar = bar};
      figure cpu{.name = rate.name + ", CPU per record", .unit = "ns"};
      if (!out.wanted(rate.name)) continue;
      for (int i = 0; i < repeats; ++i) {
        const auto r = recover(folder, threads, keys, checkpoints);
        rate.runs.push_back(r.rate_m);
        cpu.runs.push_back(r.cpu_ns);
        per_core.runs.push_back(rate.runs.back() / threads);
      }
      (checkpoints ? all.checkpoint : all.log)[threads] = rate.runs;
      out.add(std::move(rate));
      out.add(std::move(per_core));
      out.add(std::move(cpu));
    }
  };
  // The records live in memory that the process must get first: on a machine that is a guest this
  // may take longer than to read them.
  const auto bytes = memory_of(keys);
  for (const bool huge : {false, true}) {
    figure touch{.name = fmt::format("first touch of {} MiB, about what they take, {} pages",
                                     bytes >> 20, huge ? "2 MiB" : "4 KiB"),
                 .unit = "s"};
    if (!out.wanted(touch.name)) continue;
    for (int i = 0; i < repeats; ++i) touch.runs.push_back(first_touch_s(bytes, huge));
    out.add(std::move(touch));
  }
  series(true, 2);
  series(false, 1.5);
  return all;
}

void peer(report& out, const std::string& program, std::uint64_t keys, const values& v, int repeats,
          const ours& mine) {
  const std::string name{program.substr(program.rfind('/') + 1)};
  for (const bool log : {true, false}) {
    const auto what = log ? "append-only file" : "snapshot";
    figure rate{.name = fmt::format("{}, {}", name, what), .unit = "M rec/s"};
    if (!out.wanted(rate.name)) continue;
    resp_peer server{program, {.append_only = log}};
    server.fill(keys, [&](std::uint64_t i) { return v.of(i); });
    if (!log) server.save();
    server.reload(); // warms the page cache
    for (int i = 0; i < repeats; ++i) {
      first_touch_s(memory_of(keys), true); // the same for the peer
      const auto seconds = server.reload();
      if (seconds <= 0) fail(name + " does not say how long it loaded");
      if (server.keys() != keys) fail(name + " has lost keys");
      rate.runs.push_back(static_cast<double>(keys) / seconds / 1e6);
    }
    rate.name += fmt::format(" ({})", server.version());
    const auto theirs = rate.runs;
    out.add(std::move(rate));
    const auto& same = log ? mine.log : mine.checkpoint;
    if (const auto at = same.find(2); at != same.end()) {
      figure ratio{.name = fmt::format("{} on 2 cores over its {}",
                                       log ? "our log" : "our checkpoints", what),
                   .unit = "x",
                   .bar = log ? 3.0 : 2.0};
      for (std::size_t i = 0; i < theirs.size(); ++i)
        ratio.runs.push_back(at->second[i] / theirs[i]);
      out.add(std::move(ratio));
    }
  }
}

} // namespace

int main(int argc, char** argv) {
  report out{argc, argv, usage};
  const std::size_t value_bytes = out.options().value_bytes ? out.options().value_bytes : 100;
  std::vector<std::uint64_t> sizes{1'000'000, 10'000'000};
  if (out.quick()) sizes.pop_back();
  if (out.options().keys) sizes = {out.options().keys};
  const int repeats = out.quick() ? 2 : 3;
  double budget = 10;
  for (const auto keys : sizes) budget += 16e-6 * static_cast<double>(keys) * (repeats + 1);
  out.begin("recovery, warm page cache", budget);
  const auto program = resp_peer::find();
  out.setting("data",
              fmt::format("keys of 16 B, values of {} B of random letters, each written once; "
                          "64 shards, files on {}",
                          value_bytes, file_system_name(testing::temp_folder{}.path())));
  out.setting("ours", "from calling open() until it answers");
  out.setting("peer", program.empty()
                          ? "skipped: neither valkey-server nor redis-server is installed "
                            "(deploy/setup --bench installs them)"
                          : program +
                                ", as its own log says; 1 main thread, snapshot uncompressed, "
                                "append-only file without a snapshot in it");
  out.setting("runs", std::to_string(repeats));
  const values v{value_bytes};
  for (const auto keys : sizes) {
    out.section(fmt::format("{} keys", keys));
    const auto mine = measure(out, keys, v, repeats);
    if (!program.empty()) peer(out, program, keys, v, repeats, mine);
  }
  return 0;
}
