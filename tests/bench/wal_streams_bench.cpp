// How many log streams? Writers at level sync over 64 shards, with the shards' logs in 1, 2, 4 and
// 64 file chains; in turns with the disk's own answer: a 4 KB write and fdatasync of a pre-zeroed
// file.
//
//     wal_streams_bench [--quick] [--json FILE]

#include "storage/engine.hpp"
#include "storage/stream_threads.hpp"
#include "tests/bench/hardware.hpp"
#include "tests/bench/report.hpp"
#include "tests/bench/workload.hpp"
#include "tests/support/temp_folder.hpp"

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <fcntl.h>
#include <sys/resource.h>
#include <thread>
#include <unistd.h>

namespace {

using namespace warp;
using namespace warp::storage;
using steady = std::chrono::steady_clock;

double microseconds_since(steady::time_point begin) {
  return std::chrono::duration<double, std::micro>(steady::now() - begin).count();
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

double percentile(std::vector<double>& values, double p) {
  if (values.empty()) return 0;
  const auto at = static_cast<std::ptrdiff_t>(p * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), values.begin() + at, values.end());
  return values[static_cast<std::size_t>(at)];
}

/// Median time of pwrite + fdatasync of 4 KB in a pre-zeroed file, us.
double bare_sync_us(const std::string& folder, double seconds) {
  const auto path = folder + "/bare";
  const int fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0644);
  const std::string zeros(1 << 20, '\0'), block(4096, 'x');
  for (int i = 0; i < 16; ++i)
    if (pwrite(fd, zeros.data(), zeros.size(), static_cast<off_t>(i) << 20) < 0) std::exit(1);
  fsync(fd);
  std::vector<double> times;
  off_t at = 0;
  for (const auto end = steady::now() + std::chrono::duration<double>(seconds);
       steady::now() < end;) {
    const auto begin = steady::now();
    if (pwrite(fd, block.data(), block.size(), at) < 0 || fdatasync(fd) < 0) std::exit(1);
    times.push_back(microseconds_since(begin));
    at = (at + 4096) % (16 << 20);
  }
  close(fd);
  return percentile(times, 0.5);
}

struct outcome {
  double rate = 0, p50_us = 0, p99_us = 0, cpu_us = 0;
  double on_disk = 0; ///< share of the time in which a round is in the disk's hands, of the streams
};

outcome measure(std::uint32_t streams, unsigned threads, double seconds) {
  testing::temp_folder folder;
  auto opened =
      engine::open({.folder = folder.path(), .wal_streams = streams, .segment_bytes = 4u << 20});
  if (!opened) {
    std::fprintf(stderr, "wal_streams_bench: %s\n", opened.status().to_string().c_str());
    std::exit(1);
  }
  auto& db = **opened;
  std::vector<std::vector<double>> times(threads);
  double took = 0, cpu = 0;
  {
    stream_threads writers{db};
    std::atomic<bool> stop{false};
    std::vector<std::thread> pool;
    const auto cpu_begin = cpu_seconds();
    const auto begin = steady::now();
    for (unsigned t = 0; t < threads; ++t)
      pool.emplace_back([&, t] {
        bench::fast_random random{t + 1};
        const std::string value(100, 'v');
        value_arena arena;
        while (!stop) {
          const bench::key_text key{random() % 100'000};
          const operation op{
              .kind = op_kind::put, .level = durability::sync, .key = key.view(), .value = value};
          op_reply reply;
          const auto sent = steady::now();
          db.execute({&op, 1}, {&reply, 1}, arena);
          if (db.wait_durable({&reply, 1}, sent + std::chrono::seconds{10}) != op_code::ok)
            std::exit(1);
          times[t].push_back(microseconds_since(sent));
        }
      });
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
    stop = true;
    for (auto& t : pool) t.join();
    took = microseconds_since(begin) / 1e6;
    cpu = cpu_seconds() - cpu_begin;
  }
  double on_disk = 0;
  for (std::uint32_t i = 0; i < db.stream_count(); ++i) {
    const auto s = db.stats_of_stream(i);
    on_disk += static_cast<double>(s.sync_latency.sum_ns + s.write_latency.sum_ns) / 1e9;
  }
  if (!db.close().ok()) std::exit(1);
  std::vector<double> all;
  for (const auto& t : times) all.insert(all.end(), t.begin(), t.end());
  const auto n = static_cast<double>(all.size());
  return {.rate = n / took / 1e3,
          .p50_us = percentile(all, 0.5),
          .p99_us = percentile(all, 0.99),
          .cpu_us = cpu * 1e6 / n,
          .on_disk = 100 * on_disk / took / streams};
}

} // namespace

int main(int argc, char** argv) {
  bench::report report{argc, argv};
  const double seconds = report.quick() ? 0.2 : 1.5;
  const int repeats = report.quick() ? 1 : 3;
  testing::temp_folder folder;
  report.begin("how many log streams: single puts at level sync",
               8 * repeats * (seconds * 1.4 + 1));
  report.setting("load", "keys of 16 B, values of 100 B, 64 shards, segments of 4 MiB");
  report.setting("peer", "pwrite + fdatasync of 4 KB in a pre-zeroed file, median, in turns");
  report.setting("data folder", bench::file_system_name(folder.path()));
  for (const unsigned threads : {1u, 16u}) {
    report.section(std::to_string(threads) + (threads == 1 ? " writer" : " writers"));
    for (const std::uint32_t streams : {1u, 2u, 4u, 64u}) {
      bench::figure rate{.name = "rate, " + std::to_string(streams) + " streams", .unit = "k/s"};
      bench::figure p50{.name = "p50, " + std::to_string(streams) + " streams",
                        .unit = "us",
                        .at_most = true,
                        .peer = "fdatasync",
                        .ratio_bar = threads == 16 && streams == 1 ? 3.0 : 0};
      bench::figure p99{.name = "p99, " + std::to_string(streams) + " streams", .unit = "us"};
      bench::figure cpu{.name = "processor time a write, " + std::to_string(streams) + " streams",
                        .unit = "us"};
      bench::figure on_disk{.name = "time a round is in the disk's hands, " +
                                    std::to_string(streams) + " streams",
                            .unit = "%"};
      for (int i = 0; i < repeats; ++i) {
        p50.peer_runs.push_back(bare_sync_us(folder.path(), seconds / 3));
        const auto o = measure(streams, threads, seconds);
        rate.runs.push_back(o.rate);
        p50.runs.push_back(o.p50_us);
        p99.runs.push_back(o.p99_us);
        cpu.runs.push_back(o.cpu_us);
        on_disk.runs.push_back(o.on_disk);
      }
      report.add(rate);
      report.add(p50);
      report.add(p99);
      report.add(cpu);
      report.add(on_disk);
    }
  }
  return 0;
}
