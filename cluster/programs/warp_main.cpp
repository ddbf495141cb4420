#include "cluster/programs/tool.hpp"

#include <csignal>
#include <cstdio>
#include <system_error>

using namespace warp::programs;

namespace {

constexpr const char* footer =
    "Keys and values on the command line are text; --hex takes bytes, --file FILE or the value - "
    "(standard input) takes a value from there.\n"
    "Put -- in front of a value that begins with a dash: warp put KEY -- -5\n"
    "\n"
    "Exit codes: 0 ok, 1 failure, 2 command line or configuration, 3 the key is not there, 4 the "
    "condition does not hold,\n"
    "            5 no server answered, 6 timed out or outcome unknown\n"
    "\n"
    "Example: warpd & warp put hello world && warp get hello";

} // namespace

int main(int argc, char** argv) {
  // A reader that has gone (warp dump | head) and a server that has gone are failures of a write,
  // not signals.
  std::signal(SIGPIPE, SIG_IGN);
  tool t;
  CLI::App app("The command line of WarpEngine, a memory-first durable key-value database", "warp");
  app.footer(footer);
  app.require_subcommand(1);
  app.fallthrough();
  app.set_version_flag("--version", "warp " WARP_VERSION);
  app.add_option("-s,--server", t.server,
                 "Server, as host:port; several with commas between are tried in turn")
      ->envname("WARP_SERVER")
      ->capture_default_str()
      ->type_name("ADDRESS");
  app.add_option("--deadline", t.deadline, "How long a request may take, retries included")
      ->capture_default_str()
      ->type_name("TIME");
  app.add_flag("--json", t.json, "Output for programs");
  add_key_commands(app, t);
  add_scan_commands(app, t);
  add_watch_command(app, t);
  add_load_command(app, t);
  add_admin_commands(app, t);
  add_physics_commands(app, t);
  add_gpu_command(app, t);
  add_bench_command(app, t);
  add_backup_commands(app, t);
  add_wal_command(app, t);
  add_repair_command(app, t);
  add_verify_command(app, t);
  add_config_command(app, t);
  add_cluster_commands(app, t);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    const int code = app.exit(e);
    return code == 0 ? 0 : static_cast<int>(tool_exit::usage);
  } catch (const std::system_error& e) {
    // The reader of our output has what it wants (warp scan | head): nothing more to say.
    if (e.code() == std::errc::broken_pipe) return static_cast<int>(tool_exit::failure);
    std::fprintf(stderr, "warp: %s\n", e.what());
    return static_cast<int>(tool_exit::failure);
  }
  return static_cast<int>(t.exit);
}
