// The log alone, without tables: what an append costs its caller, what one thread can push through
// a stream to the disk, how long a synced write takes beside a bare write + fdatasync, and how fast
// a log is read back.
//
//     log_bench [--quick] [--json FILE]

#include "storage/segment_store.hpp"
#include "storage/shard_log.hpp"
#include "storage/wal_reader.hpp"
#include "storage/wal_stream.hpp"
#include "tests/bench/hardware.hpp"
#include "tests/bench/report.hpp"
#include "tests/support/temp_folder.hpp"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <ctime>
#include <mutex>
#include <thread>

namespace {

using namespace warp;
using namespace warp::storage;
using steady = std::chrono::steady_clock;

constexpr std::uint32_t shard_count = 64;

double seconds_since(steady::time_point begin) {
  return std::chrono::duration<double>(steady::now() - begin).count();
}

/// Processor time of this thread, s: what an append costs its caller, whoever else is on the
/// machine.
double thread_seconds() {
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9;
}

void check(const op_status& s) {
  if (s.ok()) return;
  std::fprintf(stderr, "log_bench: %s\n", s.to_string().c_str());
  std::exit(1);
}

struct universe {
  struct shard {
    shard_lock lock;
    shard_log log;
    explicit shard(std::uint32_t id) : log(shard_id{id}, lock, {}) {}
  };
  testing::temp_folder folder;
  std::unique_ptr<segment_store> store;
  std::vector<std::unique_ptr<shard>> shards;
  std::unique_ptr<wal_stream> stream;
  std::atomic<bool> stop{false};
  std::thread writer;

  universe() {
    segment_store_options options;
    options.files = &posix_file_system();
    options.folder = folder.path();
    options.spares_max = 8;
    auto opened = segment_store::open(options);
    check(opened.status());
    store = std::move(*opened);
    std::vector<shard_log*> logs;
    for (std::uint32_t i = 0; i < shard_count; ++i)
      logs.push_back(&shards.emplace_back(std::make_unique<shard>(i))->log);
    auto s = wal_stream::open(*store, {}, logs);
    check(s.status());
    stream = std::move(*s);
    writer = std::thread{[this] {
      while (!stop) stream->run(std::chrono::hours{1});
    }};
  }
  void finish() {
    stop = true;
    stream->interrupt();
    writer.join();
    check(stream->close());
  }

  /// One batch of `n` records; returns the last LSN.
  lsn_t put(std::uint32_t s, int n, std::uint64_t& key, std::string_view value) {
    auto& shard = *shards[s];
    for (;;) {
      {
        std::lock_guard guard{shard.lock};
        if (shard.log.admit(static_cast<std::uint64_t>(n)) == op_code::ok) {
          lsn_t lsn = 0;
          char text[16] = "key 0000000000.";
          for (int i = 0; i < n; ++i) {
            ++key;
            std::memcpy(text + 4, &key, sizeof key);
            log_record record;
            record.lsn = lsn = shard.log.assign_lsn();
            record.key = {text, sizeof text};
            record.value = value;
            shard.log.append(record);
          }
          shard.log.commit();
          return lsn;
        }
      }
      static_cast<void>(shard.log.wait_for_room(steady::now() + std::chrono::seconds{10}));
    }
  }
};

/// Processor time of the caller, ns a record, over `records` of them spread over the shards in
/// batches; the writer writes meanwhile, old segments are let go.
double append_ns(std::uint64_t records, int batch, std::string_view value, double* sustained) {
  universe u;
  std::uint64_t key = 0;
  const auto warm = records / 4;
  auto begin = steady::now();
  double spent = 0;
  for (std::uint64_t done = 0; done < records + warm; done += static_cast<std::uint64_t>(batch)) {
    if (done >= warm && spent == 0) {
      begin = steady::now();
      spent = thread_seconds();
    }
    const auto s = static_cast<std::uint32_t>(key * 0x9e3779b97f4a7c15 >> 58);
    u.put(s, batch, key, value);
    if (key % 100'000 < static_cast<std::uint64_t>(batch))
      check(u.store->release(
          [&](shard_id shard) { return u.shards[shard.value]->log.durable_lsn(); }));
  }
  spent = thread_seconds() - spent;
  u.finish();
  if (sustained != nullptr) *sustained = static_cast<double>(records) / seconds_since(begin) / 1e6;
  return spent * 1e9 / static_cast<double>(records);
}

double percentile(std::vector<double>& values, double p) {
  const auto at = static_cast<std::ptrdiff_t>(p * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + at, values.end());
  return values[static_cast<std::size_t>(at)];
}

double bare_sync_us(const std::string& folder, int rounds) {
  auto& files = posix_file_system();
  auto f = files.open(folder + "/bare" + std::to_string(rounds), open_mode::create);
  check(f.status());
  const std::string zeros(4u << 20, '\0'), block(4096, 'x');
  check((*f)->write_at(0, zeros));
  check((*f)->sync());
  std::vector<double> times;
  for (int i = 0; i < rounds; ++i) {
    const auto begin = steady::now();
    check((*f)->write_at(static_cast<std::uint64_t>(i % 1'000) * 4'096, block));
    check((*f)->sync());
    times.push_back(seconds_since(begin) * 1e6);
  }
  check(files.remove(folder + "/bare" + std::to_string(rounds)));
  return percentile(times, 0.5);
}

} // namespace

int main(int argc, char** argv) {
  bench::report report{argc, argv};
  const std::uint64_t records = report.quick() ? 400'000 : 4'000'000;
  const int repeats = report.quick() ? 1 : 3;
  const std::string value(100, 'v');
  report.begin("the log alone, without tables", report.quick() ? 10 : 60);
  report.setting("shards", std::to_string(shard_count) + ", one stream");
  report.setting("data folder", bench::file_system_name(testing::temp_folder{}.path()));

  report.section("append of 15 B + 100 B, one thread, 64 shards, one stream writing beside it");
  for (const int batch : {1, 16, 256}) {
    bench::figure ns{.name = "processor time a record, batches of " + std::to_string(batch),
                     .unit = "ns"};
    bench::figure rate{.name = "to the disk, batches of " + std::to_string(batch), .unit = "M/s"};
    for (int i = 0; i < repeats; ++i) {
      double sustained = 0;
      ns.runs.push_back(append_ns(records, batch, value, &sustained));
      rate.runs.push_back(sustained);
    }
    report.add(ns);
    report.add(rate);
  }

  report.section("a synced write, one thread, beside write + fdatasync of 4 KB");
  bench::figure p50{.name = "p50", .unit = "us", .peer = "fdatasync"};
  bench::figure rounds{.name = "rounds", .unit = "k/s"};
  for (int i = 0; i < repeats; ++i) {
    universe u;
    p50.peer_runs.push_back(bare_sync_us(u.folder.path(), report.quick() ? 500 : 3'000));
    std::uint64_t key = 0;
    std::vector<double> times;
    const auto all = steady::now();
    for (int n = 0; n < (report.quick() ? 500 : 5'000); ++n) {
      const auto begin = steady::now();
      const auto s = static_cast<std::uint32_t>(n % 64);
      const auto lsn = u.put(s, 1, key, value);
      u.shards[s]->log.request_sync();
      static_cast<void>(u.shards[s]->log.wait_durable(lsn, begin + std::chrono::seconds{10}));
      times.push_back(seconds_since(begin) * 1e6);
    }
    rounds.runs.push_back(static_cast<double>(times.size()) / seconds_since(all) / 1e3);
    p50.runs.push_back(percentile(times, 0.5));
    u.finish();
  }
  report.add(p50);
  report.add(rounds);

  report.section("reading a log back, one thread, warm page cache, by processor time");
  bench::figure scan{.name = "scan: every checksum", .unit = "GB/s"};
  bench::figure replayed{.name = "replay: every record to a callback", .unit = "M/s"};
  for (int i = 0; i < repeats; ++i) {
    universe u;
    std::uint64_t key = 0;
    for (std::uint64_t n = 0; n < records / 4; n += 16)
      u.put(static_cast<std::uint32_t>(key * 0x9e3779b97f4a7c15 >> 58), 16, key, value);
    u.finish();
    auto paths = list_segments(posix_file_system(), u.folder.path());
    check(paths.status());
    std::vector<segment_scan> scans;
    double bytes = 0;
    auto begin = thread_seconds();
    for (const auto& path : *paths) {
      auto one = scan_segment(posix_file_system(), path, {});
      check(one.status());
      bytes += static_cast<double>(one->info->data_end);
      scans.push_back(std::move(*one));
    }
    scan.runs.push_back(bytes / (thread_seconds() - begin) / 1e9);
    auto survey = log_survey::build(std::move(scans), shard_count);
    check(survey.status());
    const std::vector<replay_range> all(shard_count, replay_range{.wanted = true});
    std::uint64_t count = 0;
    begin = thread_seconds();
    segment_bytes memory;
    for (const auto& one : survey->segments()) {
      auto segment = load_segment(posix_file_system(), one.info, std::move(memory));
      check(segment.status());
      check(replay(*segment, all, [&](const replay_context&, const log_record&) -> op_status {
        ++count;
        return {};
      }));
      memory = std::move(*segment);
    }
    replayed.runs.push_back(static_cast<double>(count) / (thread_seconds() - begin) / 1e6);
    if (count != key) check({op_code::corruption, "records are missing"});
  }
  report.add(scan);
  report.add(replayed);
}
