#pragma once

#include "cluster/client.hpp"
#include "cluster/programs/exit_codes.hpp"
#include "messages/operations.hpp"
#include "messages/status.hpp"

#include <chrono>
#include <CLI/CLI.hpp>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace warp::programs {

/// What all commands of `warp` share: the options in front of the command, the connection, and how
/// results and failures are shown. One per process, one thread.
struct tool {
  std::string server = "127.0.0.1:7400"; ///< several, separated by commas, are tried in turn
  std::string deadline = "10s";
  bool json = false;
  tool_exit exit = tool_exit::done;

  /// Connects. On failure says so and what to do, sets `exit`, and returns null.
  /// `deadline_default`: where the user gave none.
  std::unique_ptr<client> connect(std::chrono::milliseconds deadline_default = {});

  /// Shows a failure on standard error (with --json as an object on standard output) and sets
  /// `exit`. `what`: what was tried, "put a".
  void fail(const op_status& status, std::string_view what);
  /// A mistake on the command line.
  void misuse(std::string_view message);
  /// The same for a reply; true when it is ok.
  bool check(const op_status& status, std::string_view what);
};

/// Commands hang themselves into the program; `t` must outlive it.
void add_key_commands(CLI::App& app, tool& t);
void add_scan_commands(CLI::App& app, tool& t);
void add_load_command(CLI::App& app, tool& t);
void add_admin_commands(CLI::App& app, tool& t);
/// qget, entangle, entropy, rebalance, physics.
void add_physics_commands(CLI::App& app, tool& t);
void add_gpu_command(CLI::App& app, tool& t);
void add_bench_command(CLI::App& app, tool& t);
void add_backup_commands(CLI::App& app, tool& t);
void add_wal_command(CLI::App& app, tool& t);
void add_watch_command(CLI::App& app, tool& t);
void add_repair_command(CLI::App& app, tool& t);
void add_verify_command(CLI::App& app, tool& t);
/// Hangs `dump` below `checkpoint`.
CLI::App* add_checkpoint_dump(CLI::App& checkpoint, tool& t);
void add_config_command(CLI::App& app, tool& t);
void add_cluster_commands(CLI::App& app, tool& t);

/// Adds --durability NAME.
CLI::Option* add_durability(CLI::App& command, std::string& name);
/// unspecified for "".
durability durability_of(std::string_view name);
/// From a text that parse_duration_ms() takes.
op_result<std::chrono::milliseconds> duration_of(std::string_view text);

/// Whole numbers for people: 171,075.
std::string with_commas(std::uint64_t number);
/// Bytes for people: 28.6 MB.
std::string readable_bytes(std::uint64_t bytes);
/// 412 ms, 59.2 s, 3 min 20 s.
std::string readable_duration(std::chrono::milliseconds d);
/// Safe on a terminal: control characters and what is no UTF-8 as \xNN. Other text as it is.
std::string printable(std::string_view bytes);
/// "name": "text" as a JSON string, or "name_base64": "..." when the bytes are no UTF-8.
std::string json_bytes(std::string_view name, std::string_view bytes);
/// "fields": {...}, or "fields_base64": packed pairs where some are no UTF-8. As load takes it.
std::string json_fields(std::string_view pairs);
/// "names": ["..."], or "names_base64": packed names where some are no UTF-8.
std::string json_names(std::string_view names);
/// {name: value, ...}, safe on a terminal.
std::string printable_fields(std::string_view pairs);

/// Standard output that notices when it cannot be written (disk full, reader gone). Buffered.
class output {
public:
  ~output();
  void write(std::string_view bytes);
  void line(std::string_view text);
  /// Writes out what is left; ok, or io_error with the reason.
  op_status finish();

private:
  void flush();
  std::string buffer_;
  op_status failed_;
};

bool stdout_is_terminal();

/// All bytes of a file, or of standard input for "-".
op_result<std::string> read_whole(const std::string& path);

} // namespace warp::programs
