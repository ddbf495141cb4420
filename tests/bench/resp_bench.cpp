// The RESP port beside Redis and Valkey: the same programs load each of them in turns, servers
// pinned to one processor and the load to another. Their own benchmark programs take most of a
// processor themselves, so the servers' processor time per operation stands beside each rate, and
// resp_load (resp_load.cpp), which takes less, is a third load.
//
//     resp_bench [--quick] [--keys N] [--value N] [--seconds S (of one run)] [--only PATTERN]
//     [--json FILE]

#include "tests/bench/process_usage.hpp"
#include "tests/bench/report.hpp"
#include "tests/bench/resp_peer.hpp"
#include "tests/bench/stopwatch.hpp"
#include "tests/support/server_process.hpp"
#include "tests/support/temp_folder.hpp"

#include <arpa/inet.h>
#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <fcntl.h>
#include <filesystem>
#include <fmt/format.h>
#include <fstream>
#include <map>
#include <memory>
#include <netinet/in.h>
#include <nlohmann/json.hpp>
#include <optional>
#include <sched.h>
#include <string>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <vector>

namespace {

using namespace warp;
using bench::figure;
using nlohmann::json;

constexpr auto usage = "RESP beside Redis and Valkey: --quick --keys N --value N --seconds S "
                       "--only PATTERN --json F\n";

[[noreturn]] void die(const std::string& why) {
  std::fprintf(stderr, "resp_bench: %s\n", why.c_str());
  std::_Exit(1);
}

/// This process and all that it starts from now on. False: there is no such processor.
bool pin_to(unsigned cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(cpu, &set);
  return ::sched_setaffinity(0, sizeof set, &set) == 0;
}

int free_port() {
  const int s = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(s, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::getsockname(s, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    die("no free port");
  ::close(s);
  return ntohs(address.sin_port);
}

/// User and system time of a process, threads that have ended included.
double cpu_seconds_of(pid_t pid) {
  std::ifstream in{fmt::format("/proc/{}/stat", pid)};
  std::string text;
  std::getline(in, text);
  text.erase(0, text.rfind(')') + 2);
  std::istringstream fields{text};
  std::string skipped;
  for (int i = 0; i < 11; ++i) fields >> skipped;
  double user = 0, system = 0;
  fields >> user >> system;
  return (user + system) / static_cast<double>(::sysconf(_SC_CLK_TCK));
}

double children_cpu_seconds() {
  rusage u{};
  ::getrusage(RUSAGE_CHILDREN, &u);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(u.ru_utime) + seconds(u.ru_stime);
}

std::string output_of(const std::string& command) {
  auto* const pipe = ::popen(command.c_str(), "r");
  if (!pipe) die("cannot run " + command);
  std::string text;
  char buffer[4096];
  while (const auto n = std::fread(buffer, 1, sizeof buffer, pipe)) text.append(buffer, n);
  if (::pclose(pipe) != 0) die(command + " failed and said: " + text);
  return text;
}

struct contestant {
  std::string name;
  int port = 0;
  pid_t pid = 0;
};

/// The servers at one durability, all with all keys.
class field {
public:
  field(const std::string& warpd, const std::string& level, const std::string& append_fsync,
        bool pinned) {
    if (pinned) pin_to(0);
    ours_ = std::make_unique<testing::server_process>(
        warpd,
        std::vector<std::string>{"--storage.folder", folder_ / "data", "--rpc.listen",
                                 "127.0.0.1:0", "--resp.listen", "127.0.0.1:0", "--http.listen",
                                 "127.0.0.1:0", "--storage.durability", level});
    if (!ours_->wait_ready(std::chrono::seconds{60})) die("warpd did not start: " + ours_->log());
    all.push_back({"warpd", ours_->resp_port(), ours_->pid()});
    for (const auto* program : {"valkey-server", "redis-server"}) {
      const auto path = bench::resp_peer::find(program);
      if (path.empty()) continue;
      const int port = free_port();
      peers_.push_back(std::make_unique<bench::resp_peer>(
          path, bench::resp_peer::settings{
                    .append_only = true, .append_fsync = append_fsync, .port = port}));
      const std::string name{program};
      all.push_back({name.substr(0, name.find('-')), port, peers_.back()->pid()});
      versions += fmt::format("{}{} {}", versions.empty() ? "" : ", ", all.back().name,
                              peers_.back()->version());
    }
    if (pinned) pin_to(1);
  }

  std::vector<contestant> all; ///< ours first
  std::string versions;

private:
  testing::temp_folder folder_;
  std::unique_ptr<testing::server_process> ours_;
  std::vector<std::unique_ptr<bench::resp_peer>> peers_;
};

struct cell {
  std::string op; ///< set, get
  unsigned pipeline = 1;
  unsigned connections = 50;
};

struct outcome {
  double rate_k = 0, p50_us = 0, p99_us = 0; ///< rate: thousands a second
  double server_us = 0;                      ///< processor time per operation
  double client_busy = 0;                    ///< share of a processor
};

/// Programs that load a server, and what they are told.
class generator {
public:
  generator(std::string name, std::string program, std::uint64_t keys, std::size_t value)
      : name_(std::move(name)), program_(std::move(program)), keys_(keys), value_(value) {}

  [[nodiscard]] const std::string& name() const noexcept { return name_; }

  outcome run(const contestant& to, const cell& c, double seconds) {
    const bool own = name_ == "resp_load";
    // The others are told how many operations, not how long.
    auto& rate = rates_[fmt::format("{} {} {}", to.name, c.op, c.pipeline)];
    if (!own && rate == 0) rate = benchmark(to, c, 10'000 * std::min(c.pipeline, 32u)).first;
    const auto server = cpu_seconds_of(to.pid), client = children_cpu_seconds();
    const auto began = std::chrono::steady_clock::now();
    auto [operations, out] = own ? load(to, c, seconds) : [&] {
      const auto n = static_cast<std::uint64_t>(std::max(1'000.0, rate * seconds));
      auto [per_second, figures] = benchmark(to, c, n);
      return std::pair{static_cast<double>(n), figures};
    }();
    const auto wall = bench::seconds_since(began);
    out.server_us = (cpu_seconds_of(to.pid) - server) * 1e6 / operations;
    out.client_busy = (children_cpu_seconds() - client) / wall;
    return out;
  }

  void fill(const contestant& to) const {
    output_of(fmt::format("{} --port {} --fill --pipeline 64 --connections 16 --keys {} --value {}",
                          program_, to.port, keys_, value_));
  }

private:
  std::pair<double, outcome> load(const contestant& to, const cell& c, double seconds) const {
    const auto text = output_of(fmt::format(
        "{} --port {} --op {} --pipeline {} --connections {} --seconds {:g} --keys {} --value {}",
        program_, to.port, c.op, c.pipeline, c.connections, seconds, keys_, value_));
    const auto j = json::parse(text, nullptr, false);
    if (!j.is_object()) die("resp_load said: " + text);
    return {j.at("operations").get<double>(),
            {.rate_k = j.at("operations_per_second").get<double>() / 1e3,
             .p50_us = j.at("p50_us").get<double>(),
             .p99_us = j.at("p99_us").get<double>()}};
  }

  /// redis-benchmark and valkey-benchmark: "SET","rate","average","min","p50","p95","p99","max",
  /// the latencies in ms.
  std::pair<double, outcome> benchmark(const contestant& to, const cell& c, std::uint64_t n) const {
    const auto text = output_of(
        fmt::format("{} -p {} -t {} -n {} -P {} -c {} -r {} -d {} --csv 2>/dev/null", program_,
                    to.port, c.op, n, c.pipeline, c.connections, keys_, value_));
    std::vector<double> fields;
    const auto last = text.rfind('\n', text.size() - 2);
    for (auto at = text.find(',', last == text.npos ? 0 : last); at != text.npos;
         at = text.find(',', at + 1)) {
      double value = 0;
      std::from_chars(text.data() + at + 2, text.data() + text.size(), value);
      fields.push_back(value);
    }
    if (fields.size() < 6 || fields[0] <= 0) die(program_ + " said: " + text);
    return {fields[0],
            {.rate_k = fields[0] / 1e3, .p50_us = fields[3] * 1e3, .p99_us = fields[5] * 1e3}};
  }

  std::string name_, program_;
  std::uint64_t keys_;
  std::size_t value_;
  std::map<std::string, double> rates_;
};

/// By contestant: all rounds.
using outcomes = std::map<std::string, std::vector<outcome>>;

std::vector<double> column(const outcomes& all, const std::string& who, double outcome::*what) {
  std::vector<double> values;
  if (const auto at = all.find(who); at != all.end())
    for (const auto& o : at->second) values.push_back(o.*what);
  return values;
}

struct bars {
  double rate_valkey = 0, rate_redis = 0; ///< at least, of the peer's
  double cpu = 0, cpu_goal = 0;           ///< at most, of Valkey's
  double rate_goal = 0;
};

bars bars_for(const std::string& level, const std::string& load, const cell& c) {
  const bool set = c.op == "set", own = load == "resp_load";
  if (level == "sync") {
    if (!own || !set) return {};
    return c.pipeline == 1 ? bars{.rate_valkey = 1.5, .rate_redis = 1.5, .rate_goal = 2}
                           : bars{.rate_valkey = 2, .rate_redis = 2};
  }
  switch (c.pipeline) {
  case 1:
    return {.rate_valkey = 1, .cpu = 1, .cpu_goal = 0.8};
  case 16:
    return {.rate_valkey = own ? 1.5 : set ? 1.3 : 0, .cpu = 0.65, .cpu_goal = 0.5};
  default:
    return {.rate_valkey = own ? 1.5 : set ? 1.3 : 0, .cpu = 0.5, .cpu_goal = 1.0 / 3};
  }
}

/// Time of a write of `bytes` and its fdatasync, in a file that has its blocks, median of
/// `seconds`.
double bare_sync_us(std::size_t bytes, double seconds) {
  testing::temp_folder folder;
  const auto path = folder / "file";
  constexpr std::size_t size = 16 << 20;
  const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  const std::string zeros(size, '\0'), block(bytes, 'x');
  if (fd < 0 || ::pwrite(fd, zeros.data(), size, 0) != static_cast<ssize_t>(size)) die("no file");
  ::fsync(fd);
  std::vector<double> times;
  const auto began = std::chrono::steady_clock::now();
  for (std::size_t at = 0; bench::seconds_since(began) < seconds;
       at = (at + bytes) % (size - bytes)) {
    const auto from = std::chrono::steady_clock::now();
    if (::pwrite(fd, block.data(), bytes, static_cast<off_t>(at)) != static_cast<ssize_t>(bytes) ||
        ::fdatasync(fd) != 0)
      die("the disk refuses");
    times.push_back(bench::seconds_since(from) * 1e6);
  }
  ::close(fd);
  return bench::median(times);
}

} // namespace

int main(int argc, char** argv) {
  bench::report report{argc, argv, usage};
  const bool quick = report.quick();
  const auto keys = report.keys(quick ? 100'000 : 1'000'000);
  const std::size_t value = report.options().value_bytes ? report.options().value_bytes : 100;
  const double seconds = report.seconds(quick ? 0.3 : 1.5);
  const int rounds = quick ? 1 : 3;
  report.begin("RESP, beside Redis and Valkey", quick ? 60 : 480);

  const auto self = std::filesystem::path{argv[0]}.parent_path();
  const auto warpd = (self / "../../cluster/programs/warpd").string();
  std::vector<generator> loads{{"resp_load", (self / "resp_load").string(), keys, value}};
  for (const auto* program : {"redis-benchmark", "valkey-benchmark"})
    if (const auto path = bench::resp_peer::find(program); !path.empty())
      loads.push_back({program, path, keys, value});
  const bool pinned = ::sysconf(_SC_NPROCESSORS_ONLN) > 1 && pin_to(0);

  report.setting("data", fmt::format("{} keys of 16 B, values of {} B, uniform", keys, value));
  report.setting("runs",
                 fmt::format("{} of {:g} s each, servers in turns; 50 connections unless said",
                             rounds, seconds));
  report.setting("processors", pinned ? "servers on 0, load on 1" : "shared by servers and load");

  std::map<unsigned, std::vector<double>> async_rates; // SET by resp_load, by pipeline
  for (const std::string level : {"async", "sync"}) {
    const std::string fsync = level == "async" ? "everysec" : "always";
    const std::vector<std::string> operations =
        level == "async" ? std::vector<std::string>{"set", "get"} : std::vector<std::string>{"set"};
    std::optional<field> servers;
    const auto start = [&] {
      if (servers) return;
      servers.emplace(warpd, level, fsync, pinned);
      for (const auto& s : servers->all) loads[0].fill(s);
      report.note(
          fmt::format("  peers: {}, appendonly yes, appendfsync {}", servers->versions, fsync));
    };
    for (auto& load : loads) {
      report.section(fmt::format("{}, {}", level, load.name()));
      for (const auto& op : operations)
        for (const unsigned pipeline : {1u, 16u, 64u}) {
          const auto title = fmt::format("{}, pipeline {}", op == "set" ? "SET" : "GET", pipeline);
          if (!report.wanted(title)) continue;
          start();
          const cell c{.op = op, .pipeline = pipeline};
          outcomes all;
          for (int round = 0; round < rounds; ++round)
            for (const auto& s : servers->all) all[s.name].push_back(load.run(s, c, seconds));
          const auto marks = bars_for(level, load.name(), c);
          const auto row = [&](const std::string& what, const char* unit, double outcome::*field_,
                               const std::string& peer, double bar, double goal, bool at_most) {
            figure f{.name = fmt::format("{}: {}", title, what),
                     .unit = unit,
                     .runs = column(all, "warpd", field_),
                     .goal = goal,
                     .at_most = at_most,
                     .peer_runs = column(all, peer, field_),
                     .peer = peer,
                     .ratio_bar = bar};
            if (f.peer_runs.empty()) f.peer.clear(), f.ratio_bar = 0;
            report.add(std::move(f));
          };
          row("rate", "k/s", &outcome::rate_k, "valkey", marks.rate_valkey, marks.rate_goal, false);
          row("rate", "k/s", &outcome::rate_k, "redis", marks.rate_redis, marks.rate_goal, false);
          row("server's time", "us/op", &outcome::server_us, "valkey", marks.cpu, marks.cpu_goal,
              true);
          row("p50", "us", &outcome::p50_us, "valkey", 0, 0, true);
          row("p99", "us", &outcome::p99_us, "valkey", 0, 0, true);
          row("load busy", "cpu", &outcome::client_busy, "valkey", 0, 0, true);
          if (level == "async" && op == "set" && load.name() == "resp_load")
            async_rates[pipeline] = column(all, "warpd", &outcome::rate_k);
          if (level == "sync" && load.name() == "resp_load" && async_rates.count(pipeline))
            report.add({.name = title + ": rate, over async",
                        .unit = "k/s",
                        .runs = column(all, "warpd", &outcome::rate_k),
                        .peer_runs = async_rates[pipeline],
                        .peer = "async",
                        .ratio_bar = 0.6});
        }
    }
    if (level == "sync") {
      report.section("sync, 16 connections, resp_load");
      if (report.wanted("SET, pipeline 1: p50")) {
        start();
        figure f{.name = "SET, pipeline 1: p50",
                 .unit = "us",
                 .at_most = true,
                 .peer = "fdatasync",
                 .ratio_bar = 3};
        // What a round of 16 such writes takes in the log, in whole blocks.
        const auto bytes = (16 * (value + 16 + 16) + 4095) / 4096 * 4096;
        for (int round = 0; round < rounds; ++round) {
          f.peer_runs.push_back(bare_sync_us(bytes, seconds / 2));
          f.runs.push_back(
              loads[0]
                  .run(servers->all[0], {.op = "set", .pipeline = 1, .connections = 16}, seconds)
                  .p50_us);
        }
        report.add(std::move(f));
      }
    }
  }
}
