#pragma once

#include "cluster/resp_commands.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace warp::cluster {

/// The text of INFO: all sections that are asked for (none: the usual ones), with the names that
/// exporters read. Sums over all threads and shards: short locks.
std::string resp_info(resp_shared& shared, resp_arguments sections);

/// CONFIG RESETSTAT: what INFO has counted until now is forgotten, there alone.
void reset_info(resp_shared& shared);

/// Memory and keys of the universe.
struct resp_memory_use {
  std::uint64_t keys = 0, expiring = 0, used = 0, records = 0, gets = 0, hits = 0, expired = 0;
};
resp_memory_use resp_memory(resp_shared& shared);

/// Does a command belong to a category of Redis's ("read", "string", ...)?
bool is_in_category(const resp_command& command, std::string_view category);

} // namespace warp::cluster
