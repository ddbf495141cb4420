#pragma once

#include "cluster/resp_commands.hpp"
#include "messages/ids.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace warp::cluster {

/// The transaction of a connection: keys that it watches, and between MULTI and EXEC the commands
/// that it has queued.
///
/// EXEC computes all replies on one resp_view, whose commit() writes everything at once if nothing
/// that was read, and no watched key, has changed meanwhile; else it begins anew. After a few
/// attempts it does so while the other connections of this server stand still. Commands that do
/// not work on the keys they name (PUBLISH, FLUSHALL, ...) cannot be undone: they run once, PUBLISH
/// and its like behind the commit, and those that read or write all keys make the whole run alone,
/// in parts that are atomic each.
struct resp_transaction {
  struct queued {
    const resp_command* command;
    std::string bytes; ///< of all arguments
    std::vector<std::uint32_t> ends;
    [[nodiscard]] std::vector<std::string_view> arguments() const;
  };
  /// A key that came and went is noticed by its shard's last removal: so the removal of another
  /// key of that shard counts too, for a key that is absent.
  struct watched {
    std::string key;
    lsn_t version = 0;                  ///< 0: absent
    std::optional<lsn_t> removed_until; ///< newest removal in its shard; nothing: not known
  };

  bool open = false;    ///< between MULTI and EXEC
  bool refused = false; ///< a command could not be queued: EXEC aborts
  std::vector<queued> commands;
  std::size_t bytes = 0; ///< of the commands
  std::vector<watched> keys;

  void add(const resp_command& command, resp_arguments args);
};

} // namespace warp::cluster
