// The table of commands for people, from the registry.

#include "cluster/resp_commands.hpp"
#include "cluster/resp_server.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <map>
#include <string>
#include <vector>

namespace warp::cluster {

namespace {

std::string upper_case(std::string_view text) {
  std::string out{text};
  std::ranges::transform(out, out.begin(), [](char x) {
    return x >= 'a' && x <= 'z' ? static_cast<char>(x - 32) : x;
  });
  return out;
}

/// A vertical bar would end the cell.
std::string cell(std::string_view text) {
  std::string out;
  for (const char x : text) {
    if (x == '|') out += '\\';
    out += x;
  }
  return out;
}

} // namespace

std::string resp_command_table() {
  std::string text =
      "# Commands of the RESP port\n"
      "\n"
      "Written by `warpd --resp-commands` from the registry that serves them; a test compares.\n"
      "Replies and error texts are those of Redis 7.0, in RESP2 and RESP3, where no difference is\n"
      "named. Of all commands: a key has 1 B to 64 KiB and a value at most what "
      "`storage.value_max`\n"
      "says, there is database 0 only, and OOM, MISCONF, BUSY and NOREPLICAS tell what the engine\n"
      "refuses.\n"
      "\n"
      "In a cluster, keys of one command and of one transaction are of one slot (CROSSSLOT), and a "
      "slot\n"
      "is served by its primary: any other node answers `MOVED slot host:port`; TRYAGAIN where "
      "that\n"
      "would be the node itself, which is not ready yet or about to be replaced; CLUSTERDOWN "
      "where\n"
      "nobody is known. Nothing was done then. UNKNOWN means that a write may have happened: the\n"
      "shard's replicas have not confirmed it. Such a write is not to be repeated unseen.\n"
      "\n"
      "| command | group | since | differs |\n"
      "|---|---|---|---|\n";
  std::map<std::string_view, std::vector<std::string>> missing;
  for (const auto& command : all_commands()) {
    if (command.kind == command_kind::missing) {
      missing[command.group].push_back(upper_case(command.name));
      continue;
    }
    text += fmt::format("| `{}{}{}` | {} | {} | {} |\n", upper_case(command.name),
                        command.syntax.empty() ? "" : " ", cell(command.syntax), command.group,
                        command.since, cell(command.note));
  }
  text += "\n## Not yet\n\nA client that sends one of them hears that the command is unknown.\n\n";
  for (const auto& [group, names] : missing)
    text += fmt::format("- {}: {}\n", group, fmt::join(names, " "));
  return text;
}

} // namespace warp::cluster
