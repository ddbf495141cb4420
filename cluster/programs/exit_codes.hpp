#pragma once

#include "messages/status.hpp"

namespace warp::programs {

/// How `warp` ends. The numbers stand in --help and in README.md: scripts rely on them.
enum class tool_exit : int {
  done = 0,
  failure = 1,     ///< the server or this machine refused; the message says why
  usage = 2,       ///< the command line, the configuration or a value on it makes no sense
  absent = 3,      ///< the key (or actor) is not there
  condition = 4,   ///< cas, --if-...: the record is not as it had to be
  unreachable = 5, ///< no server answered
  unknown = 6,     ///< timed out, or nobody knows whether the write happened
};

/// The exit code for a status that came back from a server.
constexpr tool_exit exit_for(op_code code) noexcept {
  switch (code) {
  case op_code::ok:
    return tool_exit::done;
  case op_code::not_found:
    return tool_exit::absent;
  case op_code::invalid_argument:
    return tool_exit::usage;
  case op_code::version_mismatch:
  case op_code::already_exists:
    return tool_exit::condition;
  case op_code::unavailable:
  case op_code::shutting_down:
    return tool_exit::unreachable;
  case op_code::timed_out:
  case op_code::outcome_unknown:
    return tool_exit::unknown;
  default:
    return tool_exit::failure;
  }
}

/// How `warpd` ends.
enum class server_exit : int {
  clean = 0,   ///< stopped by a signal, all is on disk
  runtime = 1, ///< something failed while it ran, or the stop took too long
  usage = 2,   ///< command line or configuration
  folder =
      3,    ///< the data folder: in use, not ours, a newer format, damaged, no permission, no space
  port = 4, ///< a port: in use, no permission, no such address
};

} // namespace warp::programs
