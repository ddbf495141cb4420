#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace warp::actors {

/// Where a member of the supervision tree is in its life.
enum class node_state : std::uint8_t {
  starting, ///< spawned, not ready yet
  running,
  waiting, ///< ended by a failure, restarts after a delay
  stopping,
  stopped,   ///< ended on request, or its work is done
  failed,    ///< given up: its supervisor has failed because of it
  abandoned, ///< did not end within its bound; its thread may still be there
};

/// Stable lower-case name ("running").
[[nodiscard]] std::string_view to_string(node_state state) noexcept;

/// One line of the live tree.
struct tree_node {
  std::string path; ///< "universe/storage/wal-writer-0"
  node_state state = node_state::starting;
  bool supervisor = false;
  bool detached = false;      ///< has a thread of its own
  std::uint64_t restarts = 0; ///< since the universe was opened
  std::string last_cause;     ///< of the newest restart; empty: none yet
};

/// How many restarts of its children a supervisor allows within a window; one more is a failure of
/// its own.
struct restart_intensity {
  std::uint32_t restarts_max = 10;
  std::uint32_t window_s = 60;
};

} // namespace warp::actors
