// Checkpoint files by themselves, on one thread and a warm page cache: 1 M records of 16 B + 100 B,
// plain and compressed, through the page cache and past it. Recovery's bar, 2 M keys/s, includes
// the table; so reading alone must be far above. Then what checkpoints cost a thread that puts
// meanwhile.
//
//     checkpoint_bench [--quick] [--keys N] [--json FILE]

#include "storage/checkpoint_reader.hpp"
#include "storage/checkpoint_writer.hpp"
#include "storage/direct_io.hpp"
#include "storage/engine.hpp"
#include "storage/stream_threads.hpp"
#include "tests/bench/hardware.hpp"
#include "tests/bench/report.hpp"
#include "tests/bench/workload.hpp"
#include "tests/support/temp_folder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <random>
#include <string>
#include <thread>
#include <vector>

using namespace warp;
using namespace warp::storage;

namespace {

void require(const op_status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.to_string().c_str());
  std::exit(1);
}

double seconds_of(const auto& work) {
  const auto began = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
}

struct pair {
  std::string key, value;
};

std::vector<pair> records(std::size_t count, bool text) {
  std::mt19937_64 random{1};
  std::vector<pair> all(count);
  for (auto& [key, value] : all) {
    key = fmt::format("key:{:012}", random() % 1'000'000'000'000);
    if (text) {
      value = fmt::format(
          R"({{"id":{},"name":"user {}","city":"Berlin","score":{},"active":true,"seen":{}}})",
          random() % 100'000, random() % 100'000, random() % 1'000, random());
      value.resize(100, ' ');
    } else {
      value.resize(100);
      for (auto& c : value) c = static_cast<char>(random());
    }
  }
  return all;
}

double thread_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

/// A stretch of single puts of one thread: how many a second, and how long the slowest hundredth of
/// them took.
struct stretch {
  double rate = 0, p99_us = 0, p999_us = 0;
};

stretch put_for(engine& db, std::uint64_t keys, double seconds, bench::fast_random& random) {
  using steady = std::chrono::steady_clock;
  const std::string value(100, 'v');
  std::vector<float> times;
  times.reserve(static_cast<std::size_t>(seconds * 5e6));
  value_arena arena;
  bench::key_text key;
  const auto begin = steady::now();
  const auto end =
      begin + std::chrono::duration_cast<steady::duration>(std::chrono::duration<double>(seconds));
  for (auto before = begin; before < end;) {
    key.set(random() % keys);
    const operation op{.kind = op_kind::put, .key = key.view(), .value = value};
    op_reply reply;
    db.execute({&op, 1}, {&reply, 1}, arena);
    if (reply.code != op_code::ok) require({reply.code, "a put failed"});
    const auto after = steady::now();
    times.push_back(std::chrono::duration<float, std::micro>(after - before).count());
    before = after;
  }
  const auto at = [&](double share) {
    const auto nth =
        times.begin() + static_cast<std::ptrdiff_t>(share * static_cast<double>(times.size() - 1));
    std::nth_element(times.begin(), nth, times.end());
    return static_cast<double>(*nth);
  };
  return {static_cast<double>(times.size()) / seconds / 1e6, at(0.99), at(0.999)};
}

/// Stretches with and without a thread that writes one checkpoint after the other, in turns.
void while_putting(bench::report& out) {
  const auto keys = out.keys(out.quick() ? 100'000 : 1'000'000);
  const double seconds = out.quick() ? 0.2 : 1;
  testing::temp_folder folder;
  auto opened = engine::open({.folder = folder / "data"});
  require(opened.status());
  auto& db = **opened;
  std::vector<double> rate[2], p99[2], p999[2], mb;
  {
    stream_threads streams{db};
    bench::fast_random random{1};
    std::atomic<bool> wanted{false}, stop{false};
    std::atomic<std::uint64_t> bytes{0};
    std::jthread checkpoints{[&] {
      for (std::uint32_t shard = 0; !stop; shard = (shard + 1) % db.shard_count()) {
        wanted.wait(false);
        require(db.checkpoint(shard_id{shard}));
        bytes += db.stats(shard_id{shard}).checkpoint_bytes;
      }
    }};
    put_for(db, keys, static_cast<double>(keys) / 5e5, random); // the table grows
    for (int turn = 0; turn < (out.quick() ? 2 : 20); ++turn) {
      const bool on = turn % 2 == 1;
      wanted = on;
      wanted.notify_all();
      bytes = 0;
      const auto one = put_for(db, keys, seconds, random);
      if (on) mb.push_back(static_cast<double>(bytes) / seconds / 1e6);
      rate[on].push_back(one.rate);
      p99[on].push_back(one.p99_us);
      p999[on].push_back(one.p999_us);
    }
    stop = wanted = true;
    wanted.notify_all();
  }
  out.section(
      fmt::format("single puts of one thread over {} keys, log on, while checkpoints of all "
                  "shards are written one after the other",
                  keys));
  out.add({.name = "puts, checkpoints beside them",
           .unit = "M/s",
           .runs = rate[1],
           .peer_runs = rate[0],
           .peer = "without"});
  out.add({.name = "checkpoints written meanwhile", .unit = "MB/s", .runs = mb});
  out.add({.name = "throughput lost",
           .unit = "%",
           .runs = {100 * (1 - bench::median(rate[1]) / bench::median(rate[0]))},
           .bar = 10,
           .at_most = true});
  out.add({.name = "p99 of a put, checkpoints beside it",
           .unit = "us",
           .runs = p99[1],
           .bar = std::max(5.0, 2 * bench::median(p99[0])),
           .at_most = true,
           .peer_runs = p99[0],
           .peer = "without"});
  out.add({.name = "p99.9 of a put, checkpoints beside it",
           .unit = "us",
           .runs = p999[1],
           .peer_runs = p999[0],
           .peer = "without"});
}

} // namespace

int main(int argc, char** argv) {
  bench::report out(argc, argv);
  testing::temp_folder folder;
  auto& files = posix_file_system();
  const auto path = folder / "checkpoint";
  const std::size_t count = out.quick() ? 100'000 : 1'000'000;
  out.begin("checkpoint files by themselves, one thread, warm page cache", out.quick() ? 5 : 40);
  out.setting("records", fmt::format("{} of 16 B + 100 B", count));
  out.setting("data folder", bench::file_system_name(folder.path()));
  const auto million_a_second = [&](double seconds) {
    return static_cast<double>(count) / seconds / 1e6;
  };
  auto can_direct = choose_direct_io(files, folder.path(), direct_io::automatic);
  require(can_direct.status());
  std::vector<std::pair<bool, bool>> ways{{false, false}, {true, false}};
  if (*can_direct) ways.insert(ways.begin() + 1, {false, true});
  for (const bool text : {false, true}) {
    const auto all = records(count, text);
    for (const auto& [compress, direct] : ways) {
      out.section(fmt::format("values of {}, {}{}", text ? "JSON" : "random bytes",
                              compress ? "zstd level 1" : "plain",
                              direct ? ", past the page cache" : ""));
      std::vector<double> write, cpu, read, bytes;
      for (int run = 0; run < (out.quick() ? 1 : 5); ++run) {
        checkpoint_totals totals;
        const auto cpu_began = thread_seconds();
        write.push_back(million_a_second(seconds_of([&] {
          auto writer =
              checkpoint_writer::create(files, path, {}, {.direct = direct, .compress = compress});
          require(writer.status());
          record_meta meta;
          for (const auto& [key, value] : all) {
            ++meta.version;
            (*writer)->add(key, value, meta);
            if ((*writer)->has_full_blocks()) require((*writer)->write_full_blocks());
          }
          auto written = (*writer)->finish({});
          require(written.status());
          totals = *written;
        })));
        bytes.push_back(static_cast<double>(totals.bytes) / static_cast<double>(count));
        cpu.push_back((thread_seconds() - cpu_began) * 1e9 / static_cast<double>(count));
        { // reading is measured warm, whichever way the file was written
          auto warm = files.open(path, open_mode::read);
          require(warm.status());
          std::vector<char> all_of_it(totals.bytes);
          require((*warm)->read_at(0, all_of_it).status());
        }
        read.push_back(million_a_second(seconds_of([&] {
          auto reader = checkpoint_reader::open(files, path);
          require(reader.status());
          std::uint64_t sum = 0;
          require(reader->read_records([&](const checkpoint_record& r) {
            sum += r.key.size() + r.value.size() + r.meta.version;
          }));
          if (sum != count * 116 + count * (count + 1) / 2) std::abort();
        })));
      }
      out.add({"write, syncs included", "M keys/s", write});
      out.add({"write, processor time of the thread", "ns/key", cpu});
      out.add({"read", "M keys/s", read, compress ? 0.0 : 10.0});
      out.add({"size in the file", "B/key", bytes});
    }
  }
  while_putting(out);
}
