// Where threads would get in each other's way: what the machine itself can do (memory, cache lines
// between processors), what an operation of the engine costs in these terms, and how often threads
// wait for each other with 1, 64 and 1,024 shards. SCALING.md argues from these figures.

#include "tests/bench/hardware.hpp"
#include "tests/bench/live_engine.hpp"
#include "tests/bench/load.hpp"
#include "tests/bench/machine_probes.hpp"
#include "tests/bench/report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace warp;
using namespace warp::bench;

constexpr auto usage = R"(scaling_bench [OPTION...]
  --keys N        keys, default 1000000
  --threads LIST  default 1,2,4,8,16
  --seconds S     of one run, default 1
  --only PATTERN  only sections whose title matches the regular expression
  --quick         short runs
  --json FILE     all figures and runs for programs
)";

template <class Measure>
void probe(report& out, const std::string& name, const std::string& unit, Measure&& measure) {
  figure f{.name = name, .unit = unit};
  for (int i = 0; i < 3; ++i) f.runs.push_back(measure());
  out.add(std::move(f));
}

/// Returns the time of a transfer of a line between two processors, ns.
double machine(report& out, double seconds) {
  constexpr std::size_t memory = 512u << 20;
  const auto all = std::max(1u, std::thread::hardware_concurrency());
  const auto every = fmt::format("{} threads", all);
  out.section("the machine");
  if (!out.wanted_section()) return 0;
  probe(out, "dependent read, 512 MiB, 4 KiB pages", "ns",
        [&] { return dependent_read_ns(memory, false, seconds); });
  probe(out, "dependent read, 512 MiB, 2 MiB pages", "ns",
        [&] { return dependent_read_ns(memory, true, seconds); });
  probe(out, "independent random reads, 1 thread", "M/s",
        [&] { return independent_reads_m(memory, 1, seconds); });
  probe(out, "independent random reads, " + every, "M/s",
        [&] { return independent_reads_m(memory, all, seconds); });
  probe(out, "memcpy, 1 thread", "GB/s", [&] { return copy_gb(memory, 1, seconds); });
  probe(out, "memcpy, " + every, "GB/s", [&] { return copy_gb(memory, all, seconds); });
  probe(out, "atomic increment of a line of one's own", "ns",
        [&] { return own_increment_ns(seconds); });
  double transfer = 0;
  if (all > 1) {
    probe(out, "one line to the other processor", "ns", [&] {
      const auto ns = line_transfer_ns(seconds);
      transfer = transfer == 0 ? ns : std::min(transfer, ns);
      return ns;
    });
    probe(out, "increment of one line by 2 threads, time apart", "ns",
          [&] { return shared_increment_ns(2, seconds); });
  }
  return transfer;
}

const char* name_of(unsigned puts) {
  return puts == 0 ? "get" : "put";
}

/// One series: rates, processor time, waits for locks and context switches by threads.
void contention(report& out, std::uint32_t shards, std::uint64_t keys,
                const std::vector<unsigned>& counts, int repeats, double seconds) {
  const auto title = [&](unsigned puts) {
    return fmt::format("{}, single, {} shard{}", name_of(puts), shards, shards == 1 ? "" : "s");
  };
  bool any = false;
  for (const unsigned puts : {0u, 100u}) {
    out.section(title(puts));
    any = any || out.wanted_section();
  }
  if (!any) return;
  live_engine db{{.shard_count = shards}};
  fill(*db, keys, 100);
  db.settle();
  for (const unsigned puts : {0u, 100u}) {
    out.section(title(puts));
    if (!out.wanted_section()) continue;
    for (const auto threads : counts) {
      const auto prefix = fmt::format("{} thread{}", threads, threads == 1 ? "" : "s");
      figure rate{.name = prefix, .unit = "M/s"};
      figure cpu{.name = prefix + ", CPU per operation", .unit = "ns"};
      figure waits{.name = prefix + ", lock waits", .unit = "1/M ops"};
      figure lost{.name = prefix + ", lost the processor", .unit = "1/M ops"};
      for (int i = 0; i < repeats; ++i) {
        const auto before = db.stats().lock_waits;
        const auto r = drive(*db, {.put_percent = puts, .threads = threads, .keys = keys}, seconds);
        const auto million = static_cast<double>(r.operations) / 1e6;
        rate.runs.push_back(r.rate_m());
        cpu.runs.push_back(r.cpu_ns());
        waits.runs.push_back(static_cast<double>(db.stats().lock_waits - before) / million);
        lost.runs.push_back(static_cast<double>(r.used.involuntary) / million);
        db.settle();
      }
      for (auto* f : {&rate, &cpu, &waits, &lost}) out.add(std::move(*f));
    }
  }
}

/// Two threads on all shards against two threads that each keep to half of them: what is dearer in
/// the first case are lines that came from the other processor.
void shared_lines(report& out, std::uint64_t keys, int repeats, double seconds,
                  double transfer_ns) {
  out.section("2 threads on the same 64 shards against 2 threads on 32 of their own each");
  if (!out.wanted_section()) return;
  live_engine db;
  fill(*db, keys, 100);
  db.settle();
  std::vector<std::vector<std::uint32_t>> own(2), mixed(2);
  fast_random random{1};
  constexpr std::size_t length = 1'000'000;
  while (own[0].size() < length || own[1].size() < length) {
    const auto key = random.below(keys);
    const auto side = db->shard_of(key_text{key}.view()).value % 2;
    if (own[side].size() < length) own[side].push_back(key);
  }
  for (auto& list : mixed)
    while (list.size() < length) list.push_back(random.below(keys));
  for (const unsigned puts : {0u, 100u}) {
    const std::string what = name_of(puts);
    figure apart{.name = what + ", shards of their own", .unit = "ns"};
    figure together{.name = what + ", the same shards", .unit = "ns"};
    figure lines{.name = what + ", lines from the other processor", .unit = "per op"};
    for (int i = 0; i < repeats; ++i) {
      const auto cost = [&](const std::vector<std::vector<std::uint32_t>>& lists) {
        const auto r =
            drive(*db, {.put_percent = puts, .threads = 2, .keys = keys, .lists = &lists}, seconds);
        db.settle();
        return r.thread_cpu_seconds * 1e9 / static_cast<double>(r.operations);
      };
      apart.runs.push_back(cost(own));
      together.runs.push_back(cost(mixed));
      if (transfer_ns > 0)
        lines.runs.push_back((together.runs.back() - apart.runs.back()) / transfer_ns);
    }
    out.add(std::move(apart));
    out.add(std::move(together));
    if (!lines.runs.empty()) out.add(std::move(lines));
  }
}

/// What one operation costs, as far as it can be told apart.
void costs(report& out, std::uint64_t keys, int repeats, double seconds) {
  out.section("what an operation costs, 64 shards, 1 thread");
  if (!out.wanted_section()) return;
  live_engine db;
  fill(*db, keys, 100);
  db.settle();
  for (const std::size_t batch : {1u, 256u})
    for (const unsigned puts : {0u, 100u}) {
      const auto name =
          fmt::format("{}, {}", name_of(puts), batch == 1 ? "single" : "batches of 256");
      figure caller{.name = name + ", caller", .unit = "ns"};
      figure background{.name = name + ", log writer and checkpoints", .unit = "ns"};
      figure bytes{.name = name + ", log", .unit = "B/op"};
      figure rate{.name = name + ", log", .unit = "MB/s"};
      for (int i = 0; i < repeats; ++i) {
        const auto before = db.stats();
        const auto r = drive(*db, {.put_percent = puts, .batch = batch, .keys = keys}, seconds);
        const auto log_bytes = static_cast<double>(db.stats().log_bytes - before.log_bytes);
        const auto n = static_cast<double>(r.operations);
        caller.runs.push_back(r.thread_cpu_seconds * 1e9 / n);
        background.runs.push_back(r.background_ns());
        bytes.runs.push_back(log_bytes / n);
        rate.runs.push_back(log_bytes / r.seconds / 1e6);
        db.settle();
      }
      out.add(std::move(caller));
      if (puts != 0)
        for (auto* f : {&background, &bytes, &rate}) out.add(std::move(*f));
    }
}

} // namespace

int main(int argc, char** argv) {
  report out{argc, argv, usage};
  const auto keys = out.keys(1'000'000);
  const int repeats = out.quick() ? 1 : 3;
  const double seconds = out.seconds(out.quick() ? 0.3 : 1);
  auto counts = out.options().threads;
  if (counts.empty()) counts = {1, 2, 4, 8, 16};
  const double cells = 3 * 2 * static_cast<double>(counts.size()) + 12;
  out.begin("where threads would contend", 20 + cells * repeats * seconds * 1.5);
  out.setting("load", fmt::format("{} keys of 16 B, values of 100 B, uniform, log on (async), "
                                  "checkpoints when due",
                                  keys));
  out.setting("counters",
              "lock waits: a shard's lock was found held; lost the processor: involuntary "
              "context switches of the process");
  out.setting("runs", fmt::format("{} of {} s", repeats, seconds));
  out.setting("data folder", file_system_name(testing::temp_folder{}.path()));
  const auto transfer_ns = machine(out, seconds / 2);
  costs(out, keys, repeats, seconds);
  shared_lines(out, keys, repeats, seconds, transfer_ns);
  for (const std::uint32_t shards : {1u, 64u, 1'024u})
    contention(out, shards, keys, counts, repeats, seconds);
  return 0;
}
