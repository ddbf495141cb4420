#pragma once

#include "cluster/resp_commands.hpp"
#include "cluster/resp_view.hpp"

#include <string_view>

namespace warp::cluster {

// Reads of commands that Redis counts in keyspace_hits and keyspace_misses. A key of another type
// than the command works on is a hit too.

/// resp_view::get()
resp_view::key_view look_up(resp_call& c, std::string_view key);
/// resp_view::text()
resp_view::key_view look_up_text(resp_call& c, std::string_view key);

/// The text as a bulk string, or null.
void write_text(resp_call& c, const resp_view::key_view& text);

} // namespace warp::cluster
