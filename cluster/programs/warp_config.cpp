#include "cluster/config.hpp"
#include "cluster/config_report.hpp"
#include "cluster/programs/config_flags.hpp"
#include "cluster/programs/tool.hpp"

#include <cstdio>
#include <fmt/format.h>

namespace warp::programs {

void add_config_command(CLI::App& app, tool& t) {
  struct arguments {
    config_flags flags;
    bool reference = false;
  };
  const auto a = std::make_shared<arguments>();
  auto* c = app.add_subcommand(
      "check-config",
      "Show the configuration that warpd would start with, and where each setting comes from");
  c->group("Operation");
  a->flags.add_to(*c);
  c->add_flag("--reference", a->reference,
              "Print all settings with defaults, units and ranges, as a configuration file");
  c->callback([&t, a] {
    if (a->reference) {
      fmt::print("{}", cluster::config_reference());
      return;
    }
    const auto loaded = a->flags.load();
    if (!loaded) {
      t.exit = tool_exit::usage;
      fmt::print(stderr, "{}\n", loaded.status().message());
      return;
    }
    for (const auto& warning : loaded->warnings) fmt::print(stderr, "warning: {}\n", warning);
    fmt::print("{}{}", t.json ? cluster::show_config_json(*loaded) : cluster::show_config(*loaded),
               t.json ? "\n" : "");
  });
}

} // namespace warp::programs
