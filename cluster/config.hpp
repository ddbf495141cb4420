#pragma once

#include "cluster/resp_server.hpp"
#include "cluster/rpc_server.hpp"
#include "messages/status.hpp"
#include "storage/engine_options.hpp"

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace warp::cluster {

/// Everything `warpd` can be told. The initializers are the defaults; names, units, ranges and
/// meaning of each knob stand in config_knobs.cpp, and for people in deploy/warp.toml.reference,
/// which is generated from there.
struct server_config {
  server_config() {
    engine.folder = "warp-data";
    rpc.threads = 0;
    resp.threads = 0;
  }

  storage::engine_options engine;
  bool memory_only = false;        ///< no data folder: engine_options() leaves `folder` empty
  bool checkpoint_on_stop = false; ///< a stop by signal ends with a checkpoint of what has changed
  std::chrono::milliseconds stop_timeout{30'000};

  rpc_server_options rpc; ///< threads: 0 stands for rpc_server::threads_for()

  resp_server_options resp;                ///< threads: 0 stands for resp_server::threads_for()
  std::string resp_durability = "default"; ///< or a level, by its name

  struct {
    std::string listen = "127.0.0.1:7480";
    std::uint32_t connections_max = 64;
    std::chrono::milliseconds header_timeout{10'000};
  } http;

  struct {
    std::string level = "info";
    std::string format = "text";
  } log;

  struct {
    std::uint32_t threads = 0;
    std::uint32_t restarts_max = 10;
    std::chrono::seconds restart_window{60};
  } actors;

  struct {
    std::string folder;               ///< repository, and the only place for backups if it is set
    std::chrono::seconds interval{0}; ///< 0: none by the clock
    std::uint64_t keep = 0;
    std::uint64_t rate_bytes = 128u << 20;
  } backup;

  struct {
    std::string tier = "T2";
    std::string rules; ///< see physics_rules()
    std::chrono::milliseconds save_interval{60'000};
  } physics;

  struct {
    std::string mode = "auto";
    std::uint32_t check_one_in = 100;
    std::uint32_t queue_max = 256;
    std::uint64_t queue_bytes_max = 256u << 20;
    std::chrono::milliseconds window{10};
    std::uint32_t batch_max = 64;
    std::uint32_t workers = 1;
    std::uint32_t threads = 1;
  } gpu;

  /// See cluster/node/cluster_node.hpp; without a name this node is alone.
  struct {
    std::string name;
    std::uint32_t node = 0;
    std::string zone;
    std::string etcd = "http://127.0.0.1:2379"; ///< several with commas between
    std::string etcd_ca, etcd_cert, etcd_key;
    std::string listen = "127.0.0.1:7401";
    std::string checkpoints = "127.0.0.1:7402";
    std::string advertise;
    std::string ca, cert, key;
    std::chrono::milliseconds lease{10'000};
    std::uint32_t threads = 0; ///< 0: as many as suit the machine
  } cluster;

  bool insecure = false;

  /// What the engine is opened with.
  [[nodiscard]] storage::engine_options engine_options() const {
    auto options = engine;
    if (memory_only) options.folder.clear();
    options.hold_log_for_backups = backup.interval.count() != 0;
    options.replicated = !cluster.name.empty();
    return options;
  }

  /// The single rules of physics.rules, example ones included where it asks for them.
  [[nodiscard]] std::vector<std::string> physics_rules() const;
};

/// What "examples" stands for in physics.rules: for names as many applications have them.
inline constexpr std::string_view example_rules[] = {
    "user:* -> profile:*, settings:*, sessions:*", "order:* -> customer:*, products:*, payment:*",
    "post:* -> author:*, comments:*, tags:*",      "product:* -> reviews:*, inventory:*, pricing:*",
    "project:* -> team:*, tasks:*, milestones:*",  "article:* -> author:*, categories:*, related:*",
};

/// Who has set a knob. Later ones win: default < file < environment < flag.
enum class config_origin : std::uint8_t { built_in, file, environment, flag };

/// A knob as it is in force.
struct config_setting {
  std::string name;  ///< "section.key"
  std::string value; ///< as the file would say it: 64MiB, "text", true
  config_origin origin = config_origin::built_in;
  std::string where; ///< "warp.toml:12", "WARP_RPC_LISTEN", "--rpc.listen"; empty for the default
};

struct loaded_config {
  server_config values;
  std::vector<config_setting> settings; ///< all knobs, in the order of the reference
  std::vector<std::string> warnings;    ///< WARP_* variables that look like a knob and are none
};

/// Where a configuration comes from; texts in, so that a test needs neither a file nor the
/// process's environment.
struct config_inputs {
  std::string file_name;                ///< for messages; empty: no file
  std::optional<std::string> file_text; ///< TOML
  std::vector<std::pair<std::string, std::string>>
      environment; ///< all variables; those of other programs are ignored
  std::vector<std::pair<std::string, std::string>> flags; ///< "section.key" and value
};

/// Puts defaults, file, environment and flags together and checks each value and all of them
/// together. On failure: invalid_argument, with one line per mistake, each with the place it was
/// made at and, where a name was mistyped, the one that was probably meant.
op_result<loaded_config> load_config(const config_inputs& inputs);

/// Reads the file for config_inputs; an empty path leaves it without one. not_found or io_error
/// with the reason.
op_result<config_inputs> read_config_file(const std::string& path);
/// The environment of this process.
std::vector<std::pair<std::string, std::string>> process_environment();

} // namespace warp::cluster
