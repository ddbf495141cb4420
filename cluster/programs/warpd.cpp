#include "actors/universe.hpp"
#include "cluster/config.hpp"
#include "cluster/config_units.hpp"
#include "cluster/descriptors.hpp"
#include "cluster/http_server.hpp"
#include "cluster/listen_socket.hpp"
#include "cluster/programs/cluster_options.hpp"
#include "cluster/programs/config_flags.hpp"
#include "cluster/programs/exit_codes.hpp"
#include "cluster/programs/port_file.hpp"
#include "cluster/programs/process_metrics.hpp"
#include "cluster/programs/resp_service.hpp"
#include "cluster/programs/rpc_service.hpp"
#include "cluster/programs/server_log.hpp"
#include "cluster/programs/stop_signals.hpp"
#include "storage/engine.hpp"

#include <cstdio>
#include <fmt/format.h>
#include <memory>
#include <mutex>
#include <spdlog/spdlog.h>
#include <string>
#include <thread>

using namespace warp;
using namespace warp::programs;
using cluster::http_server;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

/// At a planned stop, how long shards may take to get to other nodes.
constexpr milliseconds hand_over_max{1'500};

constexpr const char* footer = "Without any option: loopback only, data in ./warp-data, RPC on "
                               "port 7400, Redis clients on 7379, HTTP (/metrics, /healthz) on "
                               "7480.\n"
                               "SIGTERM and SIGINT stop it cleanly; a second one ends it at once.\n"
                               "\n"
                               "Exit codes: 0 stopped cleanly, 1 failure while running, 2 command "
                               "line or configuration, 3 data folder, 4 port";

/// How much of what it has to read recovery has read, [0, 1].
double share_of(const storage::recovery_progress& p) {
  return p.bytes_total == 0
             ? 0.0
             : static_cast<double>(p.bytes_done) / static_cast<double>(p.bytes_total);
}

/// What the HTTP port shows, from the first moment of the start to the end.
class status_board {
public:
  void recovering(const storage::recovery_progress& p) {
    std::lock_guard guard{mutex_};
    recovered_ = p;
    phase_ = fmt::format("recovering: {:.0f} %, {} records", 100 * share_of(p), p.records);
  }
  void opened(universe& u) {
    std::lock_guard guard{mutex_};
    universe_ = &u;
    phase_ = "starting: the ports are not open yet";
  }
  void ready() {
    std::lock_guard guard{mutex_};
    ready_ = true;
  }
  void stopping() {
    std::lock_guard guard{mutex_};
    ready_ = false;
    phase_ = "stopping";
  }
  /// The universe is about to go.
  void closed() {
    std::lock_guard guard{mutex_};
    universe_ = nullptr;
  }

  health_summary health() {
    std::lock_guard guard{mutex_};
    if (universe_ != nullptr && ready_) return universe_->health();
    return {.ready = false, .problems = {phase_}};
  }
  std::string metrics() {
    std::lock_guard guard{mutex_};
    if (universe_ != nullptr) return universe_->metrics() + process_metrics();
    return process_metrics() +
           fmt::format(
               "# HELP warp_recovery_progress_ratio Share of the bytes to read that recovery has "
               "read.\n"
               "# TYPE warp_recovery_progress_ratio gauge\n"
               "warp_recovery_progress_ratio {}\n"
               "# HELP warp_recovery_progress_records Records that recovery has restored so far.\n"
               "# TYPE warp_recovery_progress_records gauge\n"
               "warp_recovery_progress_records {}\n",
               share_of(recovered_), recovered_.records);
  }

private:
  std::mutex mutex_;
  storage::recovery_progress recovered_;
  universe* universe_ = nullptr;
  bool ready_ = false;
  std::string phase_ = "starting";
};

/// Logs how far recovery is, about once a second.
class recovery_log {
public:
  void operator()(const storage::recovery_progress& p) {
    std::lock_guard guard{mutex_};
    const auto now = steady_clock::now();
    if (now - written_ < std::chrono::seconds(1)) return;
    written_ = now;
    spdlog::info("recovering: {:.0f} %, {} records", 100 * share_of(p), p.records);
  }

private:
  std::mutex mutex_;
  steady_clock::time_point written_ = steady_clock::now(); // a short recovery says nothing
};

int refuse(server_exit code, std::string_view message) {
  fmt::print(stderr, "warpd: {}\n", message);
  return static_cast<int>(code);
}

/// What to do about a data folder that could not be opened.
std::string_view advice_for(op_code code) {
  switch (code) {
  case op_code::unavailable:
    return "stop that process, or give this one a folder of its own with --storage.folder";
  case op_code::invalid_argument:
    return "name another folder with --storage.folder, or correct the setting";
  case op_code::version_mismatch:
    return "start the version of WarpEngine that wrote it; nothing was changed";
  case op_code::corruption:
    return "nothing was changed; 'warp repair --dry-run FOLDER' shows what can be kept; better is "
           "the file from a backup or a copy of the folder";
  case op_code::no_space:
    return "make room on that disk, or name another folder with --storage.folder";
  case op_code::io_error:
    return "check that the folder can be read and written by this user (ls -ld), or name another "
           "one with --storage.folder";
  default:
    return "nothing was changed";
  }
}

cluster::rpc_server_options rpc_options_of(const cluster::server_config& c) {
  auto options = c.rpc;
  if (options.threads == 0)
    options.threads = cluster::rpc_server::threads_for(std::thread::hardware_concurrency());
  options.version = WARP_VERSION;
  return options;
}

cluster::resp_server_options resp_options_of(const cluster::server_config& c,
                                             std::function<void()> shut_down) {
  auto options = c.resp;
  if (options.threads == 0)
    options.threads = cluster::resp_server::threads_for(std::thread::hardware_concurrency());
  options.version = WARP_VERSION;
  options.shut_down = std::move(shut_down);
  for (const auto& [name, level] : {std::pair{"memory", durability::memory},
                                    {"async", durability::async},
                                    {"sync", durability::sync},
                                    {"replicated", durability::replicated},
                                    {"durable", durability::durable}})
    if (c.resp_durability == name) options.level = level;
  return options;
}

actors::compute_settings compute_settings_of(const cluster::server_config& c) {
  using actors::compute_mode;
  const auto& g = c.gpu;
  return {.mode = g.mode == "off"   ? compute_mode::off
                  : g.mode == "cpu" ? compute_mode::cpu
                                    : compute_mode::automatic,
          .check_one_in = g.check_one_in,
          .queue_max = g.queue_max,
          .queue_bytes_max = g.queue_bytes_max,
          .window = g.window,
          .batch_max = g.batch_max,
          .workers = g.workers,
          .threads = g.threads};
}

struct command_line {
  config_flags flags;
  std::string port_file;
  bool checkpoint_on_stop = false;
};

int serve(const cluster::server_config& config, const command_line& line, stop_signals& signals) {
  const auto begun = steady_clock::now();
  status_board board;
  auto rpc_options = rpc_options_of(config);
  if (const auto status = cluster::rpc_server::check(rpc_options); !status.ok())
    return refuse(server_exit::usage, status.message());

  std::shared_ptr<http_server> http;
  if (!config.http.listen.empty()) {
    http = std::make_shared<http_server>(
        cluster::http_server_options{.listen = config.http.listen,
                                     .connections_max = config.http.connections_max,
                                     .header_timeout = config.http.header_timeout},
        cluster::http_answers{.metrics = [&board] { return board.metrics(); },
                              .health = [&board] { return board.health(); }});
    // Before recovery, which may take a while: /livez answers, /readyz says how far it is.
    if (auto status = http->start(); !status.ok())
      return refuse(server_exit::port, status.message());
  }

  // The RPC port opens after recovery; that it is taken should be known before. (The real start
  // looks again.)
  if (auto probe = cluster::listen_socket::open(config.rpc.listen, "rpc.listen"); !probe)
    return refuse(server_exit::port, probe.status().message());
  if (!config.resp.listen.empty())
    if (auto probe = cluster::listen_socket::open(config.resp.listen, "resp.listen"); !probe)
      return refuse(server_exit::port, probe.status().message());

  universe_options options;
  options.engine = config.engine_options();
  recovery_log log;
  options.engine.on_progress = [&](const storage::recovery_progress& p) {
    board.recovering(p);
    log(p);
  };
  options.scheduler_threads = config.actors.threads;
  options.intensity = {config.actors.restarts_max,
                       static_cast<std::uint32_t>(config.actors.restart_window.count())};
  options.backups = {config.backup.folder, config.backup.interval, config.backup.keep,
                     config.backup.rate_bytes};
  options.learning = {.tier = *parse_physics_tier(config.physics.tier),
                      .rules = config.physics_rules(),
                      .save_interval = config.physics.save_interval};
  options.compute = compute_settings_of(config);
  options.on_fatal = [&signals](const std::string& cause) { signals.failed(cause); };
  auto opened = universe::open(std::move(options));
  if (!opened) {
    const auto& status = opened.status();
    return refuse(server_exit::folder,
                  fmt::format("cannot open the data folder {}: {}\n       {}", config.engine.folder,
                              status.to_string(), advice_for(status.code())));
  }
  auto& db = **opened;
  board.opened(db);
  if (db.engine().stream_count() != 0)
    spdlog::info("the log is written {} the page cache (storage.direct_io)",
                 db.engine().stats_of_stream(0).direct ? "past" : "through");

  // Before the servers, which ask it, and stopped behind them.
  std::shared_ptr<cluster::cluster_node> node;
  op_status status;
  if (!config.cluster.name.empty()) {
    auto made = cluster::cluster_node::make(
        cluster_options_of(config), db.engine(),
        [&signals](const std::string& cause) { signals.failed(cause); });
    if (made) node = std::move(*made);
    status = made ? db.add_service(node) : made.status();
    if (!status.ok()) {
      board.closed();
      return refuse(server_exit::usage, status.message());
    }
  }

  const auto rpc_address = cluster::parse_address(config.rpc.listen);
  rpc_options.cluster = node.get();
  const auto rpc = std::make_shared<rpc_service>(
      rpc_options, db,
      universe_admin::backup_rules{config.backup.folder,
                                   rpc_address && cluster::is_loopback(*rpc_address)});
  status = db.add_service(rpc);
  std::shared_ptr<resp_service> resp;
  if (!config.resp.listen.empty()) {
    auto options = resp_options_of(config, [&signals] { signals.asked("SHUTDOWN"); });
    options.cluster = node.get();
    resp = std::make_shared<resp_service>(std::move(options), db);
  }
  if (status.ok() && resp) status = db.add_service(resp);
  if (status.ok() && http) status = db.add_service(http);
  if (!status.ok()) {
    board.closed();
    return refuse(server_exit::port, status.message());
  }
  if (node)
    node->announce(
        {advertised(config, config.rpc.listen, rpc->port()),
         advertised(config, config.resp.listen, resp ? resp->port() : std::uint16_t{0}),
         advertised(config, config.http.listen, http ? http->port() : std::uint16_t{0})});
  signals.expect_stop([&db] { db.stop_now(); });
  board.ready();

  const auto& recovery = db.engine().recovery();
  const auto took = std::chrono::duration_cast<milliseconds>(steady_clock::now() - begun).count();
  std::uint64_t keys = 0;
  for (std::uint32_t i = 0; i < db.engine().shard_count(); ++i)
    keys += db.engine().stats(shard_id{i}).table.keys;
  fmt::print("warpd {} is ready: RPC on {}, RESP {}, HTTP {}, {}, {} keys in {} shards{}, started "
             "in {} ms\n",
             WARP_VERSION, rpc->address(), resp ? "on " + resp->address() : "off",
             http ? "on " + http->address() : "off",
             config.memory_only ? "in memory only" : "data in " + config.engine.folder, keys,
             db.engine().shard_count(), recovery.clean ? "" : " (the last stop was no clean one)",
             took);
  std::fflush(stdout);
  if (!line.port_file.empty()) {
    if (status = write_port_file(line.port_file, rpc->port(), resp ? resp->port() : 0,
                                 http ? http->port() : 0);
        !status.ok()) {
      board.closed();
      return refuse(server_exit::runtime, status.message());
    }
  }

  const auto signal = signals.wait();
  board.stopping();
  if (signal)
    spdlog::info("{}: stopping", *signal);
  else
    spdlog::critical("{}: stopping", signals.cause());
  // The universe keeps to its bound; the process ends soon after it in any case.
  signals.limit_stop(config.stop_timeout + hand_over_max + milliseconds(2'000));
  if (node && signal) node->hand_over(hand_over_max);
  status = db.stop({.checkpoint = config.checkpoint_on_stop || line.checkpoint_on_stop,
                    .bound = config.stop_timeout});
  if (status.ok() && node) status = node->mark_stopped();
  signals.stopped();
  board.closed();
  if (!status.ok()) {
    spdlog::error("stopped, but not cleanly: {}", status.to_string());
    // What is stuck cannot be waited for; what was acknowledged as durable is on disk.
    if (status == op_code::timed_out) {
      spdlog::default_logger()->flush();
      std::_Exit(static_cast<int>(server_exit::runtime));
    }
    return static_cast<int>(server_exit::runtime);
  }
  spdlog::info("stopped");
  return static_cast<int>(signal ? server_exit::clean : server_exit::runtime);
}

} // namespace

int main(int argc, char** argv) {
  stop_signals signals;
  command_line line;
  CLI::App app("The WarpEngine server", "warpd");
  app.footer(footer);
  app.set_version_flag("--version", "warpd " WARP_VERSION);
  app.add_option("--port-file", line.port_file,
                 "Writes the ports as JSON when it is ready: {\"rpc\": 7400, \"resp\": 7379, "
                 "\"http\": 7480, \"pid\": 1}")
      ->type_name("FILE");
  app.add_flag("--checkpoint-on-stop", line.checkpoint_on_stop,
               "The same as --storage.checkpoint_on_stop true");
  bool resp_commands = false;
  app.add_flag("--resp-commands", resp_commands,
               "Prints the table of the commands for Redis clients, and ends");
  line.flags.add_to(app);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    return app.exit(e) == 0 ? 0 : static_cast<int>(server_exit::usage);
  }
  if (resp_commands) {
    fmt::print("{}", cluster::resp_command_table());
    return static_cast<int>(server_exit::clean);
  }
  const auto loaded = line.flags.load();
  if (!loaded)
    return refuse(server_exit::usage,
                  fmt::format("the configuration is not valid:\n{}", loaded.status().message()));
  set_up_log(loaded->values.log.level, loaded->values.log.format);
  for (const auto& warning : loaded->warnings) spdlog::warn("{}", warning);
  const auto files = cluster::raise_descriptor_limit();
  const auto& v = loaded->values;
  if (const auto wanted = v.rpc.connections_max + v.resp.connections_max + v.http.connections_max;
      wanted > files - cluster::reserved_descriptors(files))
    spdlog::info("the process may open {} files, fewer than all ports may have connections ({}): "
                 "raise the limit (ulimit -n, LimitNOFILE=) if so many are expected",
                 files, wanted);
  return serve(loaded->values, line, signals);
}
