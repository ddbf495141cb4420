// Puts at full speed for a minute: does it last? One thread puts 1 M keys of 16 B + 100 B again and
// again, in batches of 256, into a universe with its log and checkpoints on disk. The process that
// does so is then killed, and what is there is recovered. Beside it the disk's own sequential rate.
//
//     sustained_bench [--quick] [--seconds N] [--keys N] [--threads N] [--folder PATH] [--json
//     FILE]

#include "actors/universe.hpp"
#include "storage/engine.hpp"
#include "tests/bench/report.hpp"
#include "tests/bench/workload.hpp"
#include "tests/support/temp_folder.hpp"

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>

namespace {

using namespace warp;
using steady = std::chrono::steady_clock;

constexpr std::size_t batch_size = 256;
constexpr std::size_t slices_max = 1'000;
constexpr double slice_seconds_max = 5;
constexpr double mib = 1024 * 1024;

double seconds_since(steady::time_point begin) {
  return std::chrono::duration<double>(steady::now() - begin).count();
}

[[noreturn]] void die(const std::string& why) {
  std::fprintf(stderr, "sustained_bench: %s\n", why.c_str());
  std::_Exit(1);
}

double cpu_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/// Bytes of the files in a folder, as the file system counts them.
double folder_bytes(const std::string& path) {
  double bytes = 0;
  std::error_code error;
  for (std::filesystem::directory_iterator it{path, error}, end; !error && it != end;
       it.increment(error)) {
    std::error_code gone; // released meanwhile
    if (const auto size = it->file_size(gone); !gone) bytes += static_cast<double>(size);
  }
  return bytes;
}

/// MB a second of sequential writes of 1 MB to a file that is there, past the page cache where the
/// file system can, each on disk before the next.
double disk_rate(const std::string& folder, double seconds) {
  constexpr std::size_t block = 1u << 20, blocks = 256;
  const auto path = folder + "/rate";
  auto* bytes = static_cast<char*>(std::aligned_alloc(4096, block));
  std::memset(bytes, 'x', block);
  int fd = open(path.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0644);
  for (std::size_t i = 0; i < blocks; ++i)
    if (write(fd, bytes, block) < 0) die(path + ": " + std::strerror(errno));
  fsync(fd);
  if (const int direct = open(path.c_str(), O_RDWR | O_DIRECT | O_DSYNC); direct >= 0) {
    close(fd);
    fd = direct;
  }
  std::size_t written = 0;
  const auto begin = steady::now();
  while (seconds_since(begin) < seconds) {
    if (pwrite(fd, bytes, block, static_cast<off_t>(written % blocks * block)) < 0 ||
        fdatasync(fd) < 0)
      die(path + ": " + std::strerror(errno));
    ++written;
  }
  const auto took = seconds_since(begin);
  close(fd);
  std::free(bytes);
  unlink(path.c_str());
  return static_cast<double>(written * block) / took / 1e6;
}

/// What the load's process leaves behind for the one that reports; in memory that both share.
struct load_result {
  std::atomic<std::uint32_t> slices{0};
  double puts[slices_max]; ///< a second, by slice
  double log_bytes_max = 0, log_mb = 0, data_bytes_max = 0;
  double took = 0, cpu = 0, stalls = 0, checkpoints = 0, checkpoint_mb = 0, created = 0,
         recycled = 0, keys = 0, rounds = 0, waits = 0, paused_s = 0;
  bool direct = false;
  bool done = false;
};

struct load_options {
  std::string folder;
  std::uint64_t keys = 0;
  unsigned threads = 1;
  double seconds = 60, slice_seconds = 5;
};

/// Puts until told to stop; counts.
void put_loop(storage::engine& db, std::uint64_t seed, std::uint64_t keys,
              const std::atomic<bool>& stop, std::atomic<std::uint64_t>& done) {
  bench::fast_random random{seed};
  const std::string value(100, 'v');
  std::vector<bench::key_text> texts(batch_size);
  std::vector<operation> operations(batch_size);
  std::vector<storage::op_reply> replies(batch_size);
  storage::value_arena arena;
  for (auto& op : operations) {
    op.kind = op_kind::put;
    op.value = value;
  }
  while (!stop.load(std::memory_order_relaxed)) {
    for (std::size_t i = 0; i < batch_size; ++i) {
      texts[i].set(random.below(keys));
      operations[i].key = texts[i].view();
    }
    arena.clear();
    db.execute(operations, replies, arena);
    for (const auto& reply : replies)
      if (reply.code != op_code::ok) die("a put failed: " + std::string{to_string(reply.code)});
    done.fetch_add(batch_size, std::memory_order_relaxed);
  }
}

/// The load's process: never returns.
[[noreturn]] void load(const load_options& o, load_result& result) {
  auto opened = universe::open({.engine = {.folder = o.folder}});
  if (!opened) die(opened.status().to_string());
  auto& db = (*opened)->engine();
  std::atomic<bool> stop{false};
  std::vector<std::atomic<std::uint64_t>> done(o.threads);
  const auto total = [&] {
    std::uint64_t n = 0;
    for (const auto& d : done) n += d.load(std::memory_order_relaxed);
    return static_cast<double>(n);
  };
  std::vector<std::thread> threads;
  const auto cpu = cpu_seconds();
  const auto begin = steady::now();
  for (unsigned t = 0; t < o.threads; ++t)
    threads.emplace_back([&, t] { put_loop(db, t + 1, o.keys, stop, done[t]); });
  auto slice_begin = begin;
  double slice_puts = 0;
  while (seconds_since(begin) < o.seconds) {
    std::this_thread::sleep_for(std::chrono::milliseconds{50});
    result.log_bytes_max = std::max(result.log_bytes_max, folder_bytes(o.folder + "/wal"));
    result.data_bytes_max = std::max(result.data_bytes_max, folder_bytes(o.folder + "/checkpoint"));
    const auto slice = seconds_since(slice_begin);
    if (slice < o.slice_seconds || result.slices == slices_max) continue;
    slice_begin = steady::now();
    const auto puts = total();
    result.puts[result.slices] = (puts - slice_puts) / slice;
    slice_puts = puts;
    ++result.slices;
  }
  result.took = seconds_since(begin);
  result.cpu = cpu_seconds() - cpu;
  for (std::uint32_t i = 0; i < db.shard_count(); ++i) {
    const auto s = db.stats(shard_id{i});
    result.stalls += static_cast<double>(s.stalls);
    result.checkpoints += static_cast<double>(s.checkpoints);
    result.checkpoint_mb += static_cast<double>(s.checkpoints * s.checkpoint_bytes) / 1e6;
    result.keys += static_cast<double>(s.table.keys);
  }
  for (std::uint32_t i = 0; i < db.stream_count(); ++i) {
    const auto s = db.stats_of_stream(i);
    result.log_mb += static_cast<double>(s.bytes) / 1e6;
    result.rounds += static_cast<double>(s.rounds);
    result.created += static_cast<double>(s.segments_created);
    result.recycled += static_cast<double>(s.segments_recycled);
    result.waits += static_cast<double>(s.segment_waits);
    result.direct = s.direct;
  }
  result.paused_s = static_cast<double>(db.stats_of_log().paused_ms) / 1e3;
  result.done = true;
  kill(getpid(), SIGKILL); // in the middle of everything
  for (;;) pause();
}

} // namespace

int main(int argc, char** argv) {
  bench::report report{argc, argv};
  testing::temp_folder temporary;
  load_options o{.folder = temporary / "data",
                 .keys = report.keys(1'000'000),
                 .seconds = report.quick() ? 5.0 : 60.0};
  std::string where = temporary.path();
  for (int i = 1; i + 1 < argc; ++i) {
    const std::string_view arg = argv[i];
    if (arg == "--seconds") o.seconds = std::stod(argv[i + 1]);
    if (arg == "--threads") o.threads = static_cast<unsigned>(std::stoul(argv[i + 1]));
    if (arg == "--folder") {
      where = argv[i + 1];
      o.folder = where + "/data";
    }
  }
  o.slice_seconds = std::min(slice_seconds_max, o.seconds / 5);
  std::printf("puts of 16 B + 100 B, %llu keys, batches of %zu, %u thread%s, %.0f s; log (async), "
              "checkpoints and supervision on, default settings\n",
              static_cast<unsigned long long>(o.keys), batch_size, o.threads,
              o.threads == 1 ? "" : "s", o.seconds);

  const double disk_seconds = report.quick() ? 0.5 : 3;
  std::vector<double> disk{disk_rate(where, disk_seconds)};

  void* shared =
      mmap(nullptr, sizeof(load_result), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (shared == MAP_FAILED) die("mmap failed");
  auto& result = *new (shared) load_result;
  const auto child = fork();
  if (child == 0) load(o, result);
  int status = 0;
  waitpid(child, &status, 0);
  if (!result.done) die("the load's process ended early");

  disk.push_back(disk_rate(where, disk_seconds));
  const std::vector<double> puts(result.puts, result.puts + result.slices);
  const auto million = [&](std::string name, std::vector<double> runs, double bar = 0) {
    for (auto& r : runs) r /= 1e6;
    report.add({.name = std::move(name), .unit = "M/s", .runs = std::move(runs), .bar = bar});
  };
  const auto add = [&](std::string name, std::string unit, double value) {
    report.add({.name = std::move(name), .unit = std::move(unit), .runs = {value}});
  };
  const storage::engine_options defaults;
  report.section("puts a second, by slice of " + std::to_string(o.slice_seconds).substr(0, 3) +
                 " s");
  for (std::size_t i = 0; i < puts.size(); ++i)
    million("slice " + std::to_string(i + 1), {puts[i]});
  report.section("all of it");
  million("puts a second: median, lowest and highest slice", puts, o.threads == 1 ? 6.0 : 0);
  million("last slice", {puts.back()});
  report.add({.name = "last slice over the median",
              .unit = "x",
              .runs = {puts.back() / bench::median(puts)},
              .bar = 0.9});
  add("writes that waited for the log", "", result.stalls);
  add("writers paused, the log being at its limit", "s", result.paused_s);
  add("processor time", "us/put", result.cpu * 1e6 / (bench::median(puts) * result.took));
  add("processors in use", "", result.cpu / result.took);
  report.section(result.direct ? "the disk; log and checkpoints pass the page cache"
                               : "the disk; log and checkpoints go through the page cache");
  report.add({.name = "log written",
              .unit = "MB/s",
              .runs = {result.log_mb / result.took},
              .peer_runs = disk,
              .peer = "the disk by itself, 1 MB direct"});
  add("the disk by itself, before", "MB/s", disk.front());
  add("the disk by itself, after", "MB/s", disk.back());
  add("checkpoints written", "MB/s", result.checkpoint_mb / result.took);
  add("checkpoints of a shard", "1/s", result.checkpoints / result.took);
  add("rounds of group commit", "1/s", result.rounds / result.took);
  report.add({.name = "log on disk, highest",
              .unit = "MiB",
              .runs = {result.log_bytes_max / mib},
              .bar = static_cast<double>(defaults.wal_max_bytes) / mib,
              .at_most = true});
  add("checkpoints on disk, highest", "MiB", result.data_bytes_max / mib);
  add("segments made", "", result.created);
  add("segments recycled", "", result.recycled);
  add("segments that came too late", "", result.waits);

  report.section("after kill -9");
  const auto begin = steady::now();
  auto opened = storage::engine::open({.folder = o.folder});
  if (!opened) die(opened.status().to_string());
  const auto took = seconds_since(begin);
  double keys = 0;
  for (std::uint32_t i = 0; i < (*opened)->shard_count(); ++i)
    keys += static_cast<double>((*opened)->stats(shard_id{i}).table.keys);
  // A minute of random puts has met every key long before its last 100 ms.
  if (keys < result.keys * 0.99 || keys > result.keys)
    die("recovered " + std::to_string(keys) + " of " + std::to_string(result.keys) + " keys");
  const auto& found = (*opened)->recovery();
  add("recovery", "s", took);
  add("records from checkpoints", "M", static_cast<double>(found.checkpoint_records) / 1e6);
  add("records from the log", "M", static_cast<double>(found.log_records) / 1e6);
  add("log read", "MiB", static_cast<double>(found.log_bytes) / mib);
  return 0;
}
