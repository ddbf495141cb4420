// The engine in process: rates of get, put and mixed loads, single and in batches, with its log on;
// beside each the same load on std::unordered_map behind one mutex per shard, which logs nothing.
// Then recovery of what was written.
//
//     engine_bench [--quick] [--keys N] [--json FILE]

#include "storage/engine.hpp"
#include "storage/stream_threads.hpp"
#include "tests/bench/report.hpp"
#include "tests/bench/workload.hpp"
#include "tests/support/temp_folder.hpp"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <thread>
#include <unordered_map>

namespace {

using namespace warp;
using namespace warp::storage;
using warp::bench::fast_random;
using warp::bench::key_text;
using steady = std::chrono::steady_clock;

constexpr std::size_t value_bytes = 100;
const std::string value(value_bytes, 'v');

/// Share of puts among the operations, in percent; keys drawn uniformly or by a zipf law.
struct load {
  unsigned put_percent = 0;
  std::size_t batch = 1;
  unsigned threads = 1;
  const bench::zipf* skew = nullptr;
  durability level = durability::unspecified;
};

/// std::unordered_map in 64 pieces, the plain way.
class map_store {
public:
  void put(std::string_view key, std::string_view bytes) {
    auto& s = of(key);
    std::lock_guard hold{s.mutex};
    s.map.insert_or_assign(std::string{key}, std::string{bytes});
  }
  bool get(std::string_view key, std::string& out) {
    auto& s = of(key);
    std::lock_guard hold{s.mutex};
    const auto at = s.map.find(std::string{key});
    if (at == s.map.end()) return false;
    out.assign(at->second);
    return true;
  }

private:
  struct alignas(64) piece {
    std::mutex mutex;
    std::unordered_map<std::string, std::string> map;
  };
  piece& of(std::string_view key) { return pieces_[table::hash(key) % 64]; }
  std::array<piece, 64> pieces_;
};

/// Operations a second, in millions, of `work(thread, random) -> operations done` called over and
/// over for `seconds`.
template <class Work>
double rate(unsigned threads, double seconds, Work&& work) {
  std::atomic<bool> go{false}, stop{false};
  std::vector<std::uint64_t> done(threads * 8);
  std::vector<std::thread> pool;
  for (unsigned t = 0; t < threads; ++t)
    pool.emplace_back([&, t] {
      fast_random random{t + 1};
      while (!go.load()) std::this_thread::yield();
      std::uint64_t n = 0;
      while (!stop.load(std::memory_order_relaxed)) n += work(t, random);
      done[t * 8] = n;
    });
  const auto begin = steady::now();
  go = true;
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  stop = true;
  for (auto& t : pool) t.join();
  const std::chrono::duration<double> took = steady::now() - begin;
  std::uint64_t total = 0;
  for (unsigned t = 0; t < threads; ++t) total += done[t * 8];
  return static_cast<double>(total) / took.count() / 1e6;
}

double engine_rate(engine& db, std::uint64_t keys, const load& l, double seconds) {
  struct scratch {
    std::vector<key_text> keys;
    std::vector<operation> ops;
    std::vector<op_reply> replies;
    value_arena arena;
  };
  std::vector<scratch> all(l.threads);
  for (auto& s : all) {
    s.keys.resize(l.batch);
    s.ops.resize(l.batch);
    s.replies.resize(l.batch);
  }
  return rate(l.threads, seconds, [&](unsigned t, fast_random& random) -> std::uint64_t {
    auto& s = all[t];
    for (int repeat = 0; repeat < 16; ++repeat) {
      for (std::size_t i = 0; i < l.batch; ++i) {
        s.keys[i].set(l.skew ? (*l.skew)(random) : random() % keys);
        const bool put = random() % 100 < l.put_percent;
        s.ops[i].kind = put ? op_kind::put : op_kind::get;
        s.ops[i].key = s.keys[i].view();
        s.ops[i].value = put ? std::string_view{value} : std::string_view{};
        s.ops[i].level = put ? l.level : durability::unspecified;
      }
      s.arena.clear();
      db.execute(s.ops, s.replies, s.arena);
      for (const auto& reply : s.replies)
        if (reply.code != op_code::ok) {
          std::fprintf(stderr, "engine_bench: an operation failed: %s\n",
                       std::string{to_string(reply.code)}.c_str());
          std::exit(1);
        }
    }
    return l.batch * 16;
  });
}

double map_rate(map_store& map, std::uint64_t keys, const load& l, double seconds) {
  return rate(l.threads, seconds, [&](unsigned, fast_random& random) -> std::uint64_t {
    thread_local std::string out;
    key_text key;
    for (int repeat = 0; repeat < 64; ++repeat) {
      key.set(l.skew ? (*l.skew)(random) : random() % keys);
      if (random() % 100 < l.put_percent)
        map.put(key.view(), value);
      else
        map.get(key.view(), out);
    }
    return 64;
  });
}

} // namespace

int main(int argc, char** argv) {
  bench::report report{argc, argv};
  const std::uint64_t keys = report.keys(report.quick() ? 100'000 : 1'000'000);
  const double seconds = report.quick() ? 0.3 : 1.5;
  const int repeats = report.quick() ? 1 : 5;
  testing::temp_folder folder;
  engine_options options{.folder = folder.path()};
  auto opened = engine::open(options);
  if (!opened) {
    std::fprintf(stderr, "engine_bench: %s\n", opened.status().to_string().c_str());
    return 1;
  }
  auto& db = **opened;
  auto map = std::make_unique<map_store>();
  {
    stream_threads writers{db};
    // Keeps the log within its limit, as the checkpointer of a universe does.
    std::jthread checkpoints([&](std::stop_token stop) {
      while (!stop.stop_requested()) {
        for (const auto shard : db.due_checkpoints()) {
          if (stop.stop_requested()) break;
          if (auto status = db.checkpoint(shard); !status.ok())
            std::fprintf(stderr, "%s\n", status.to_string().c_str());
        }
        std::this_thread::sleep_for(std::chrono::milliseconds{200});
      }
    });
    std::vector<operation> ops(1);
    std::vector<op_reply> replies(1);
    value_arena arena;
    for (std::uint64_t i = 0; i < keys; ++i) {
      const key_text key{i};
      ops[0] = {.kind = op_kind::put, .key = key.view(), .value = value};
      db.execute(ops, replies, arena);
      map->put(key.view(), value);
    }
    const bench::zipf skew{keys, 0.99};

    std::printf("%lu keys of 16 B, values of 100 B, 64 shards, log on (async), default settings; "
                "figures in millions of "
                "operations a second, median of %d runs of %.1f s in turns with the peer\n",
                static_cast<unsigned long>(keys), repeats, seconds);
    std::printf("peer: std::unordered_map in 64 pieces, each with a std::mutex, no log\n");
    const auto measure = [&](const std::string& name, const load& l, double bar) {
      bench::figure f{.name = name, .unit = "M/s", .bar = bar, .peer = "map"};
      for (int i = 0; i < repeats; ++i) {
        f.runs.push_back(engine_rate(db, keys, l, seconds));
        f.peer_runs.push_back(map_rate(*map, keys, l, seconds));
      }
      report.add(f);
      return bench::median(f.runs);
    };
    report.section("one thread");
    const auto get1 = measure("get, single", {.put_percent = 0, .batch = 1}, 6);
    measure("get, batches of 256", {.put_percent = 0, .batch = 256}, 15);
    const auto put1 = measure("put, single", {.put_percent = 100, .batch = 1}, 3);
    measure("put, batches of 256", {.put_percent = 100, .batch = 256}, 6);
    measure("get 95 / put 5, single", {.put_percent = 5, .batch = 1}, 0);
    const auto mixed1 = measure("get 50 / put 50, single", {.put_percent = 50, .batch = 1}, 0);
    measure("get, single, zipf 0.99", {.put_percent = 0, .batch = 1, .skew = &skew}, 0);
    measure("get, batches of 256, zipf 0.99", {.put_percent = 0, .batch = 256, .skew = &skew}, 0);
    measure("put at level memory, single",
            {.put_percent = 100, .batch = 1, .level = durability::memory}, 0);
    report.section("two threads");
    const auto get2 = measure("get, single", {.put_percent = 0, .batch = 1, .threads = 2}, 0);
    const auto put2 = measure("put, single", {.put_percent = 100, .batch = 1, .threads = 2}, 0);
    const auto mixed2 =
        measure("get 50 / put 50, single", {.put_percent = 50, .batch = 1, .threads = 2}, 0);
    report.add({.name = "get, 2 threads over 1", .unit = "x", .runs = {get2 / get1}, .bar = 1.6});
    report.add({.name = "put, 2 threads over 1", .unit = "x", .runs = {put2 / put1}, .bar = 1.4});
    report.add(
        {.name = "50/50, 2 threads over 1", .unit = "x", .runs = {mixed2 / mixed1}, .bar = 1.4});

    table_stats sum;
    for (std::uint32_t s = 0; s < db.shard_count(); ++s) {
      const auto t = db.stats(shard_id{s}).table;
      sum.keys += t.keys;
      sum.key_bytes += t.key_bytes;
      sum.value_bytes += t.value_bytes;
      sum.record_bytes += t.record_bytes;
      sum.index_bytes += t.index_bytes;
    }
    report.section("memory and recovery");
    report.add({.name = "memory over key + value at this size",
                .unit = "B/key",
                .runs = {static_cast<double>(sum.record_bytes + sum.index_bytes - sum.key_bytes -
                                             sum.value_bytes) /
                         static_cast<double>(sum.keys)},
                .bar = 36,
                .at_most = true});
  }
  if (!db.close().ok()) return 1;
  opened->reset();

  // Recovery, first from what is there (checkpoints and the log above them), then from a log alone.
  const auto cores = std::max(1u, std::thread::hardware_concurrency());
  const auto recover = [&](const std::string& name, const std::string& path, double bar) {
    bench::figure f{.name = name, .unit = "M rec/s", .bar = bar * cores};
    for (int i = 0; i < (report.quick() ? 1 : 3); ++i) {
      auto again = engine::open({.folder = path});
      if (!again) {
        std::fprintf(stderr, "engine_bench: %s\n", again.status().to_string().c_str());
        std::exit(1);
      }
      const auto& r = (*again)->recovery();
      f.runs.push_back(static_cast<double>(r.checkpoint_records + r.log_records) / 1e3 /
                       static_cast<double>(std::max<std::uint64_t>(1, r.duration_ms)));
      if (!(*again)->close().ok()) std::exit(1);
    }
    report.add(f);
  };
  {
    auto again = engine::open({.folder = folder.path()});
    stream_threads writers{**again};
    for (std::uint32_t s = 0; s < (*again)->shard_count(); ++s)
      if (auto status = (*again)->checkpoint(shard_id{s}); !status.ok())
        std::fprintf(stderr, "%s\n", status.to_string().c_str());
  }
  recover("recovery from checkpoints, all cores", folder.path(), 2);
  testing::temp_folder log_only;
  {
    auto fresh =
        engine::open({.folder = log_only.path(), .checkpoint_log_records = ~std::uint64_t{0}});
    {
      stream_threads writers{**fresh};
      std::vector<operation> ops(1);
      std::vector<op_reply> replies(1);
      value_arena arena;
      for (std::uint64_t i = 0; i < keys; ++i) {
        const key_text key{i};
        ops[0] = {.kind = op_kind::put, .key = key.view(), .value = value};
        (*fresh)->execute(ops, replies, arena);
      }
    }
    if (!(*fresh)->close().ok()) return 1;
  }
  recover("recovery from the log, all cores", log_only.path(), 1.5);
  return 0;
}
