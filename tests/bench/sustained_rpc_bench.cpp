// Does a server last under a steady load? A real warpd with its defaults, loaded by `warp bench`
// with 100 connections: ten minutes at 200,000 operations a second, then bursts from 50,000 to
// 300,000, then a kill in the middle of a load that goes on, with 5 M records of log to replay.
// Client and server share the machine. A request counts from the moment at which it was due.
//
//     sustained_rpc_bench [--quick] [--seconds N (of the steady load)] [--json FILE]

#include "tests/bench/report.hpp"
#include "tests/support/server_process.hpp"
#include "tests/support/temp_folder.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

using namespace warp;
using namespace std::chrono_literals;
using steady = std::chrono::steady_clock;
using nlohmann::json;

constexpr double mib = 1024 * 1024;
constexpr double rate_steady = 200'000, rate_low = 50'000, rate_high = 300'000;

[[noreturn]] void die(const std::string& why) {
  std::fprintf(stderr, "sustained_rpc_bench: %s\n", why.c_str());
  std::_Exit(1);
}

double seconds_since(steady::time_point begin) {
  return std::chrono::duration<double>(steady::now() - begin).count();
}

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

double resident_bytes_of(pid_t pid) {
  std::ifstream in{fmt::format("/proc/{}/statm", pid)};
  double size = 0, resident = 0;
  in >> size >> resident;
  return resident * static_cast<double>(::sysconf(_SC_PAGESIZE));
}

/// A warpd on a folder; the second one takes the ports of the first.
class server {
public:
  server(std::string program, std::string folder, std::vector<std::string> settings = {})
      : program_(std::move(program)), folder_(std::move(folder)), settings_(std::move(settings)) {
    start(0, 0);
  }
  /// Kills it and starts it again; returns the seconds until it answers again.
  double kill_and_start() {
    const auto rpc = address_.substr(address_.rfind(':') + 1);
    const auto http = http_;
    process_->kill();
    const auto began = steady::now();
    start(std::stoi(rpc), http);
    return seconds_since(began);
  }
  [[nodiscard]] const std::string& address() const noexcept { return address_; }
  [[nodiscard]] int http() const noexcept { return http_; }
  [[nodiscard]] double resident() const { return resident_bytes_of(process_->pid()); }
  [[nodiscard]] double log_bytes() const { return folder_bytes(folder_ + "/wal"); }

private:
  void start(int rpc, int http) {
    std::vector<std::string> arguments{
        "--storage.folder", folder_,       "--rpc.listen",  fmt::format("127.0.0.1:{}", rpc),
        "--resp.listen",    "127.0.0.1:0", "--http.listen", fmt::format("127.0.0.1:{}", http)};
    arguments.insert(arguments.end(), settings_.begin(), settings_.end());
    process_ = std::make_unique<testing::server_process>(program_, arguments);
    if (!process_->wait_ready(120s)) die("warpd did not start: " + process_->log());
    address_ = process_->rpc_address();
    http_ = process_->http_port();
  }

  std::string program_, folder_;
  std::vector<std::string> settings_;
  std::unique_ptr<testing::server_process> process_;
  std::string address_;
  int http_ = 0;
};

/// What `warp bench` is asked for.
struct demand {
  double rate = 0, seconds = 10; ///< rate 0: as fast as answers come
  unsigned get_percent = 50;
  std::uint64_t keys = 1'000'000;
  std::string deadline = "10s";
};

json run_load(const std::string& program, const server& s, const demand& d) {
  const auto command = fmt::format("{} -s {} --json --deadline {} bench --http 127.0.0.1:{} "
                                   "--clients 100 --pipeline 64 --batch 10 --get "
                                   "{} --keys {} --rate {:.0f} --seconds {:g}",
                                   program, s.address(), d.deadline, s.http(), d.get_percent,
                                   d.keys, d.rate, d.seconds);
  auto* const pipe = ::popen(command.c_str(), "r");
  if (!pipe) die("cannot run " + command);
  std::string text;
  char buffer[4096];
  while (const auto n = std::fread(buffer, 1, sizeof buffer, pipe)) text.append(buffer, n);
  ::pclose(pipe);
  auto out = json::parse(text, nullptr, false);
  if (!out.is_object()) die(command + " said: " + text);
  return out;
}

double at(const json& j, const char* name) {
  return j.at(name).is_null() ? 0.0 : j.at(name).get<double>();
}
double latency_us(const json& j, const char* name) {
  return at(j.at("latency_us"), name);
}

} // namespace

int main(int argc, char** argv) {
  bench::report report{argc, argv};
  const auto programs = std::filesystem::path{argv[0]}.parent_path() / "../../cluster/programs";
  const auto warpd = (programs / "warpd").string(), warp = (programs / "warp").string();
  const bool quick = report.quick();
  const double steady_seconds = report.seconds(quick ? 20 : 600);
  const int slices = quick ? 4 : 10;
  const double burst_seconds = quick ? 2 : 5;
  report.begin("a server under sustained load over RPC",
               steady_seconds + 6 * burst_seconds + (quick ? 30 : 90));
  report.setting("server", "warpd with its defaults: writes async, checkpoints when due");
  report.setting("load",
                 "warp bench on the same machine: 100 connections, requests of 10 operations, half "
                 "gets and half puts of 1 M keys, values of 100 B");

  testing::temp_folder temporary;
  const auto add = [&](std::string name, std::string unit, std::vector<double> runs, double bar = 0,
                       bool at_most = false) {
    report.add({.name = std::move(name),
                .unit = std::move(unit),
                .runs = std::move(runs),
                .bar = bar,
                .at_most = at_most});
  };
  {
    server s{warpd, temporary / "steady"};
    std::atomic<bool> over{false};
    double log_max = 0;
    std::jthread sampler{[&] {
      while (!over.load()) {
        log_max = std::max(log_max, s.log_bytes());
        std::this_thread::sleep_for(200ms);
      }
    }};
    report.section(fmt::format("200,000 operations a second for {:g} s", steady_seconds));
    std::vector<double> rates, p50, p99, cpu, resident;
    double errors = 0;
    for (int i = 0; i < slices; ++i) {
      const auto out = run_load(warp, s, {.rate = rate_steady, .seconds = steady_seconds / slices});
      rates.push_back(at(out, "operations_per_second") / 1e3);
      p50.push_back(latency_us(out, "p50") / 1e3);
      p99.push_back(latency_us(out, "p99") / 1e3);
      cpu.push_back(at(out, "server_cpu_us_per_operation"));
      resident.push_back(s.resident() / mib);
      errors += at(out, "errors");
    }
    const auto middle = [](const std::vector<double>& runs, bool last) {
      const auto half = runs.size() / 2;
      return last ? bench::median({runs.end() - static_cast<long>(half), runs.end()})
                  : bench::median({runs.begin(), runs.begin() + static_cast<long>(half)});
    };
    add("operations a second, by slice", "k/s", rates, rate_steady * 0.99 / 1e3);
    add("latency p50, by slice", "ms", p50);
    add("latency p99, by slice", "ms", p99);
    add("processor time of the server", "us/op", cpu);
    add("errors", "", {errors});
    add("processor time, second half over first half", "x",
        {middle(cpu, true) / middle(cpu, false)}, 1.1, true);
    add("latency p50, second half over first half", "x", {middle(p50, true) / middle(p50, false)},
        1.5, true);
    // Each slice has 100 clients of its own, and every shard remembers the last requests of each
    // for ten minutes: about 1.5 MiB a slice that are no leak.
    add("resident memory, last slice over second", "x", {resident.back() / resident[1]}, 1.1, true);
    add("resident memory", "MiB", resident);

    report.section(
        fmt::format("bursts: {:g} s each at 50,000 and at 300,000 a second", burst_seconds));
    std::vector<double> low, high, low_p99, high_p99;
    errors = 0;
    for (int i = 0; i < 3; ++i)
      for (const auto rate : {rate_low, rate_high}) {
        const auto out = run_load(warp, s, {.rate = rate, .seconds = burst_seconds});
        (rate == rate_low ? low : high).push_back(at(out, "operations_per_second") / 1e3);
        (rate == rate_low ? low_p99 : high_p99).push_back(latency_us(out, "p99") / 1e3);
        errors += at(out, "errors");
      }
    add("at 50,000: operations a second", "k/s", low, rate_low * 0.99 / 1e3);
    add("at 50,000: latency p99", "ms", low_p99);
    add("at 300,000: operations a second", "k/s", high, rate_high * 0.95 / 1e3);
    add("at 300,000: latency p99", "ms", high_p99);
    add("errors", "", {errors});
    over = true;
    sampler.join();
    add("log on disk, highest", "MiB", {log_max / mib}, 4096, true);
  }
  {
    report.section("a kill with 5 M records in the log, the load goes on");
    const std::uint64_t records = quick ? 500'000 : 5'000'000;
    // Nothing but the log holds what was written.
    server s{warpd,
             temporary / "killed",
             {"--storage.checkpoint_interval", "1h", "--storage.checkpoint_records", "1000000000"}};
    const auto filled = run_load(warp, s, {.seconds = 0.1, .get_percent = 1, .keys = records});
    if (at(filled, "errors") != 0) die("the load failed");
    const double seconds = quick ? 12 : 30;
    json out;
    std::jthread load{[&] {
      out = run_load(warp, s,
                     {.rate = rate_low,
                      .seconds = seconds,
                      .get_percent = 0,
                      .keys = records,
                      .deadline = "60s"});
    }};
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds / 3));
    const auto away = s.kill_and_start();
    load.join();
    add("from the kill until it answers again", "s", {away});
    add("operations a second over all, the kill included", "k/s",
        {at(out, "operations_per_second") / 1e3}, rate_low * 0.95 / 1e3);
    add("operations that failed", "", {at(out, "errors")});
    add("longest request", "s", {latency_us(out, "max") / 1e6});
    const auto after =
        run_load(warp, s, {.rate = rate_low, .seconds = seconds / 3, .keys = records});
    add("afterwards, at 50,000: latency p99", "ms", {latency_us(after, "p99") / 1e3});
  }
  return 0;
}
