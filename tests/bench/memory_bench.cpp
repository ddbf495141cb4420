// Memory over key + value, per key: what the process has resident and what the tables count, from
// an engine at work (log on, checkpoints when due), over the growth from 1 M to 10 M small keys, in
// steps fine enough to meet the worst; with values of 1 KB; and after half of the keys are deleted.

#include "tests/bench/child_process.hpp"
#include "tests/bench/live_engine.hpp"
#include "tests/bench/load.hpp"
#include "tests/bench/report.hpp"
#include "tests/bench/resident.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <numeric>
#include <string>
#include <vector>

namespace {

using namespace warp;
using namespace warp::bench;

constexpr auto usage = R"(memory_bench [OPTION...]
  --keys N        largest number of small keys, default 10000000 (bars are for that)
  --only PATTERN  only sections whose title matches the regular expression
  --quick         one run instead of three
  --json FILE     all figures and runs for programs
)";

constexpr std::size_t key_bytes = 16;

/// An engine whose log buffers have grown to their size before the first measured key, so that they
/// can be told from what keys take.
class measured_engine {
public:
  explicit measured_engine(std::size_t value_bytes) : value_bytes_(value_bytes) {
    const auto before = resident_bytes();
    live_.emplace();
    drive(**live_,
          {.put_percent = 100,
           .batch = 256,
           .threads = 2,
           .keys = warm_up_keys,
           .value_bytes = value_bytes},
          1.0);
    live_->settle();
    baseline_ = resident_bytes();
    besides_ = baseline_ - before;
  }

  void grow_to(std::uint64_t keys) {
    fill_range(keys_, keys, op_kind::put);
    keys_ = keys;
    live_->settle();
  }
  void fill_range(std::uint64_t begin, std::uint64_t end, op_kind kind, std::uint64_t step = 1) {
    const std::string value(value_bytes_, 'v');
    std::array<key_text, 256> texts;
    std::vector<operation> ops(256);
    std::vector<storage::op_reply> replies(256);
    storage::value_arena arena;
    for (auto at = begin; at < end;) {
      std::size_t n = 0;
      for (; n < ops.size() && at < end; ++n, at += step) {
        texts[n].set(at);
        ops[n] = {.kind = kind, .key = texts[n].view()};
        if (kind == op_kind::put) ops[n].value = value;
      }
      (*live_)->execute(std::span{ops}.first(n), std::span{replies}.first(n), arena);
    }
    live_->settle();
  }

  /// Resident and counted bytes a key, over its key and value.
  [[nodiscard]] std::array<double, 2> over_key_and_value() const {
    const auto t = live_->stats().table;
    const auto keys = static_cast<double>(t.keys);
    const auto payload = static_cast<double>(t.key_bytes + t.value_bytes);
    const auto counted = static_cast<double>(t.record_bytes + t.free_bytes + t.index_bytes);
    return {(resident_bytes() - baseline_ - payload) / keys, (counted - payload) / keys};
  }
  /// Of threads, buffers and empty tables, bytes.
  [[nodiscard]] double besides() const { return besides_; }

private:
  static constexpr std::uint64_t warm_up_keys = 1'000;
  std::size_t value_bytes_;
  std::optional<live_engine> live_;
  double baseline_ = 0, besides_ = 0;
  std::uint64_t keys_ = warm_up_keys;
};

std::string millions(double keys) {
  return fmt::format("{:g} M keys", keys / 1e6);
}

/// Of many runs of the same thing, the i-th value of each.
std::vector<double> column(const std::vector<std::vector<double>>& runs, std::size_t i) {
  std::vector<double> values;
  for (const auto& run : runs) values.push_back(run.at(i));
  return values;
}

void growth(report& out, std::uint64_t keys, int repeats) {
  const bool usual = keys == 10'000'000;
  out.section("growth, 16 B + 100 B, bytes a key over key + value");
  if (!out.wanted_section()) return;
  constexpr int steps = 40; // of 250,000 keys for 10 M
  const auto at = [&](int step) { return keys * static_cast<std::uint64_t>(step) / steps; };
  const std::array<int, 6> shown{4, 8, 16, 24, 32, 40}; // 1, 2, 4, 6, 8, 10 M
  std::vector<std::vector<double>> runs;
  for (int i = 0; i < repeats; ++i)
    runs.push_back(in_child([&] {
      measured_engine e{100};
      std::vector<double> values{e.besides() / (1 << 20)};
      for (int step = shown[0]; step <= steps; ++step) {
        e.grow_to(at(step));
        for (const auto v : e.over_key_and_value()) values.push_back(v);
      }
      return values;
    }));
  const auto resident = [&](int step) { return 1 + 2 * static_cast<std::size_t>(step - shown[0]); };
  for (const auto step : shown) {
    const auto name = millions(static_cast<double>(at(step)));
    out.add({.name = name + ", resident", .unit = "B/key", .runs = column(runs, resident(step))});
    out.add(
        {.name = name + ", counted", .unit = "B/key", .runs = column(runs, resident(step) + 1)});
  }
  figure mean{.name = "mean of these sizes, resident",
              .unit = "B/key",
              .bar = usual ? 30.0 : 0,
              .goal = usual ? 24.0 : 0,
              .at_most = true};
  figure worst{.name = "worst of all steps, resident",
               .unit = "B/key",
               .bar = usual ? 36.0 : 0,
               .at_most = true};
  double worst_at = 0, worst_seen = 0;
  for (const auto& run : runs) {
    double sum = 0, most = 0;
    for (const auto step : shown) sum += run.at(resident(step)) / shown.size();
    for (int step = shown[0]; step <= steps; ++step) {
      const auto v = run.at(resident(step));
      most = std::max(most, v);
      if (v > worst_seen) {
        worst_seen = v;
        worst_at = static_cast<double>(at(step));
      }
    }
    mean.runs.push_back(sum);
    worst.runs.push_back(most);
  }
  worst.name += fmt::format(" (at {})", millions(worst_at));
  out.add(std::move(mean));
  out.add(std::move(worst));
  out.add(
      {.name = "besides: buffers, threads, empty tables", .unit = "MiB", .runs = column(runs, 0)});
}

void large_values(report& out, int repeats) {
  out.section("16 B + 1 KB, bytes a key over key + value");
  if (!out.wanted_section()) return;
  std::vector<std::vector<double>> runs;
  for (int i = 0; i < repeats; ++i)
    runs.push_back(in_child([] {
      measured_engine e{1'024};
      std::vector<double> values;
      for (const std::uint64_t keys : {1'000'000u, 2'000'000u}) {
        e.grow_to(keys);
        for (const auto v : e.over_key_and_value()) values.push_back(v);
      }
      return values;
    }));
  std::size_t i = 0;
  for (const char* size : {"1 M keys", "2 M keys"})
    for (const char* kind : {", resident", ", counted"})
      out.add({.name = std::string{size} + kind, .unit = "B/key", .runs = column(runs, i++)});
}

void deletion(report& out, int repeats) {
  out.section(
      "16 B + 100 B, 4 M keys of which half are deleted, bytes a live key over key + value");
  if (!out.wanted_section()) return;
  constexpr std::uint64_t keys = 4'000'000;
  std::vector<std::vector<double>> runs;
  for (int i = 0; i < repeats; ++i)
    runs.push_back(in_child([] {
      measured_engine e{100};
      std::vector<double> values;
      const auto note = [&] {
        for (const auto v : e.over_key_and_value()) values.push_back(v);
      };
      e.grow_to(keys);
      note();
      e.fill_range(0, keys, op_kind::erase, 2);
      note();
      e.fill_range(0, keys, op_kind::put, 2);
      note();
      return values;
    }));
  std::size_t i = 0;
  for (const char* when : {"before", "after", "after they are inserted again"})
    for (const char* kind : {", resident", ", counted"})
      out.add({.name = std::string{when} + kind, .unit = "B/key", .runs = column(runs, i++)});
}

} // namespace

int main(int argc, char** argv) {
  report out{argc, argv, usage};
  const int repeats = out.quick() ? 1 : 3;
  out.begin("memory over key + value, engine at work", 45 * repeats);
  out.setting("engine",
              "64 shards, default options: writes async, checkpoints when due; one process "
              "per run");
  out.setting("resident",
              "what the process has more than after a second of overwrites of 1,000 keys, "
              "which brings log buffers to their size; after malloc_trim");
  out.setting("runs", std::to_string(repeats));
  growth(out, out.keys(10'000'000), repeats);
  large_values(out, repeats);
  deletion(out, repeats);
  return 0;
}
