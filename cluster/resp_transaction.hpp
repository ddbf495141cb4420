#pragma once

#include "cluster/resp_commands.hpp"
#include "storage/key_mark.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace warp::cluster {

/// The transaction of a connection: keys that it watches, and between MULTI and EXEC the commands
/// that it has queued.
///
/// EXEC is one transaction of the engine: it looks whether a watched key has changed, computes the
/// replies and writes, while nobody else works on these keys. Commands that do not work on keys
/// (PUBLISH, ...) cannot be undone: they run once, behind it. Commands on all keys (FLUSHALL, ...)
/// lock all shards for it.
struct resp_transaction {
  struct queued {
    const resp_command* command;
    std::string bytes; ///< of all arguments
    std::vector<std::uint32_t> ends;
    [[nodiscard]] std::vector<std::string_view> arguments() const;
  };
  bool open = false;    ///< between MULTI and EXEC
  bool refused = false; ///< a command could not be queued: EXEC aborts
  std::vector<queued> commands;
  std::size_t bytes = 0;               ///< of the commands
  std::vector<storage::key_mark> keys; ///< that are watched

  void add(const resp_command& command, resp_arguments args);
};

} // namespace warp::cluster
