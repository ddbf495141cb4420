// Percentiles of single operations, each timed by itself: while the table grows from nothing to 10
// M keys, while checkpoints run one after the other against not, and while small log segments roll.

#include "tests/bench/hardware.hpp"
#include "tests/bench/histogram.hpp"
#include "tests/bench/live_engine.hpp"
#include "tests/bench/load.hpp"
#include "tests/bench/report.hpp"

#include <fmt/format.h>

#include <array>
#include <cmath>
#include <cstdlib>
#include <memory>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace warp;
using namespace warp::bench;

constexpr auto usage = R"(latency_bench [OPTION...]
  --keys N        size the table grows to, default 10000000 (bars are for that)
  --seconds S     of one slice with or without checkpoints, default 4
  --only PATTERN  only sections whose title matches the regular expression
  --quick         short slices, fewer of them
  --json FILE     all figures and runs for programs
)";

/// Times single operations; one thread.
class timed_caller {
public:
  timed_caller(live_engine& db, const stopwatch& watch, std::size_t value_bytes = 100)
      : db_(*db), watch_(watch), value_(value_bytes, 'v') {}

  void put(std::uint64_t key, histogram& times) {
    call({.kind = op_kind::put, .key = text(key), .value = value_}, times);
  }
  void get(std::uint64_t key, histogram& times) {
    call({.kind = op_kind::get, .key = text(key)}, times);
  }
  [[nodiscard]] double us(std::uint64_t ticks) const { return watch_.ns(ticks) / 1e3; }

private:
  std::string_view text(std::uint64_t key) {
    key_.set(key);
    return key_.view();
  }
  void call(const operation& op, histogram& times) {
    arena_.clear();
    const auto begin = stopwatch::ticks();
    db_.execute({&op, 1}, {&reply_, 1}, arena_);
    times.add(stopwatch::ticks() - begin);
    if (reply_.code != op_code::ok) {
      std::fprintf(stderr, "latency_bench: an operation failed: %s\n",
                   std::string{to_string(reply_.code)}.c_str());
      std::exit(1);
    }
  }

  storage::engine& db_;
  const stopwatch& watch_;
  std::string value_;
  key_text key_;
  storage::op_reply reply_;
  storage::value_arena arena_;
};

struct percentile {
  const char* name;
  double share;
};
constexpr std::array<percentile, 6> percentiles{
    {{"p50", 0.5}, {"p90", 0.9}, {"p99", 0.99}, {"p99.9", 0.999}, {"p99.99", 0.9999}, {"max", 1}}};

using runs_of_percentiles = std::array<std::vector<double>, percentiles.size()>;

void note(runs_of_percentiles& runs, const histogram& times, const stopwatch& watch) {
  for (std::size_t i = 0; i < percentiles.size(); ++i)
    runs[i].push_back(watch.ns(times.at(percentiles[i].share)) / 1e3);
}

/// A figure a percentile; `p999_bar` in us, 0: none.
void add(report& out, const std::string& what, const runs_of_percentiles& runs,
         double p999_bar = 0) {
  for (std::size_t i = 0; i < percentiles.size(); ++i)
    out.add({.name = what + ", " + percentiles[i].name,
             .unit = "us",
             .runs = runs[i],
             .bar = percentiles[i].share == 0.999 ? p999_bar : 0,
             .at_most = true});
}

void growth(report& out, const stopwatch& watch, std::uint64_t keys) {
  out.section(
      fmt::format("the table grows from 0 to {} keys: a put of a new key and a get of an old "
                  "one in turns, one thread",
                  keys));
  if (!out.wanted_section()) return;
  runs_of_percentiles puts, gets;
  for (int i = 0; i < (out.quick() ? 1 : 3); ++i) {
    live_engine db;
    timed_caller caller{db, watch};
    auto put = std::make_unique<histogram>(), get = std::make_unique<histogram>();
    fast_random random{1};
    for (std::uint64_t key = 0; key < keys; ++key) {
      caller.put(key, *put);
      caller.get(random.below(key + 1), *get);
    }
    note(puts, *put, watch);
    note(gets, *get, watch);
  }
  const double bar = keys == 10'000'000 ? 50 : 0;
  add(out, "put", puts, bar);
  add(out, "get", gets, bar);
}

/// One slice of a mixed load: half gets, half puts.
struct slice {
  std::unique_ptr<histogram> times = std::make_unique<histogram>();
  double rate_m = 0;
};
slice mixed(live_engine& db, const stopwatch& watch, std::uint64_t keys, double seconds,
            std::uint64_t seed) {
  slice out;
  timed_caller caller{db, watch};
  fast_random random{seed};
  const auto begin = std::chrono::steady_clock::now();
  while (seconds_since(begin) < seconds)
    for (int i = 0; i < 128; ++i) {
      caller.put(random.below(keys), *out.times);
      caller.get(random.below(keys), *out.times);
    }
  out.rate_m = static_cast<double>(out.times->count()) / seconds_since(begin) / 1e6;
  return out;
}

void checkpoints(report& out, const stopwatch& watch) {
  constexpr std::uint64_t keys = 1'000'000;
  out.section(
      "checkpoints of one shard after the other without a pause, against none; 1 M keys, half "
      "gets, half puts, one load thread, slices in turns");
  if (!out.wanted_section()) return;
  live_engine db{{}, live_engine::checkpoints::never};
  fill(*db, keys, 100);
  db.checkpoint_all();
  const double seconds = out.seconds(out.quick() ? 1 : 4);
  runs_of_percentiles with, without;
  figure drop{.name = "throughput, drop", .unit = "%", .bar = 10, .at_most = true};
  figure rate_with{.name = "rate with checkpoints", .unit = "M/s"},
      rate_without{.name = "rate without", .unit = "M/s"},
      made{.name = "checkpoints meanwhile", .unit = "1/s"};
  for (int i = 0; i < (out.quick() ? 3 : 7); ++i) {
    db.settle();
    const auto quiet = mixed(db, watch, keys, seconds, 2 * static_cast<std::uint64_t>(i) + 1);
    db.settle();
    const auto before = db.stats().checkpoints;
    std::jthread checkpointer([&](std::stop_token stop) {
      for (std::uint32_t s = 0; !stop.stop_requested(); s = (s + 1) % db->shard_count())
        if (!db->checkpoint(shard_id{s}).ok()) std::exit(1);
    });
    const auto busy = mixed(db, watch, keys, seconds, 2 * static_cast<std::uint64_t>(i) + 2);
    checkpointer = {};
    made.runs.push_back(static_cast<double>(db.stats().checkpoints - before) / seconds);
    note(without, *quiet.times, watch);
    note(with, *busy.times, watch);
    rate_without.runs.push_back(quiet.rate_m);
    rate_with.runs.push_back(busy.rate_m);
    drop.runs.push_back(100 * (1 - busy.rate_m / quiet.rate_m));
  }
  out.add(std::move(rate_without));
  out.add(std::move(rate_with));
  out.add(std::move(drop));
  out.add(std::move(made));
  add(out, "without", without);
  add(out, "with", with);
  // Below twice the p99 without, or below 5 us: whichever allows more.
  const double bar = std::max(2 * median(without[2]), 5.0);
  out.add({.name = "p99 with, against 2 x p99 without or 5 us",
           .unit = "us",
           .runs = with[2],
           .bar = std::ceil(bar * 100) / 100,
           .at_most = true});
}

void rolling(report& out, const stopwatch& watch) {
  constexpr std::uint64_t keys = 1'000'000;
  out.section("segments of 1 MiB roll all the time, against segments of 64 MiB; "
              "half gets, half puts");
  if (!out.wanted_section()) return;
  const double seconds = out.seconds(out.quick() ? 1 : 4);
  for (const std::uint64_t segment_bytes : {std::uint64_t{1} << 20, std::uint64_t{64} << 20}) {
    live_engine db{{.segment_bytes = segment_bytes, .wal_max_bytes = 1ull << 30}};
    fill(*db, keys, 100);
    runs_of_percentiles runs;
    figure rolled{.name = fmt::format("{} MiB, segments taken", segment_bytes >> 20),
                  .unit = "1/s"};
    const auto taken = [&] {
      const auto s = db->stats_of_stream(0);
      return static_cast<double>(s.segments_created + s.segments_recycled);
    };
    for (int i = 0; i < (out.quick() ? 2 : 5); ++i) {
      db.settle();
      const auto before = taken();
      const auto s = mixed(db, watch, keys, seconds, static_cast<std::uint64_t>(i) + 1);
      rolled.runs.push_back((taken() - before) / seconds);
      note(runs, *s.times, watch);
    }
    out.add(std::move(rolled));
    add(out, fmt::format("{} MiB", segment_bytes >> 20), runs);
  }
}

} // namespace

int main(int argc, char** argv) {
  report out{argc, argv, usage};
  const double slice_seconds = out.seconds(out.quick() ? 1 : 4);
  out.begin("latency of single operations, 16 B + 100 B, log on",
            (out.quick() ? 15 : 45) + slice_seconds * (out.quick() ? 10 : 24) * 1.5);
  const stopwatch watch;
  out.setting("clock",
              fmt::format("time stamp counter where there is one; a reading costs {:.0f} ns, "
                          "and each figure has one in it",
                          watch.reading_ns()));
  out.setting("engine", "64 shards, default options: writes async, checkpoints when due");
  out.setting("percentiles", "from a log-linear histogram: at most 1.6 % above the truth");
  out.setting("data folder", file_system_name(testing::temp_folder{}.path()));
  growth(out, watch, out.keys(10'000'000));
  checkpoints(out, watch);
  rolling(out, watch);
  return 0;
}
