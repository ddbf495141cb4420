#pragma once

#include "messages/status.hpp"
#include "storage/checkpoint_format.hpp"
#include "storage/file_system.hpp"

#include <cstdint>
#include <functional>
#include <string>

namespace warp::storage {

struct salvaged_checkpoint {
  std::uint64_t blocks = 0, records = 0;
  lsn_t last_version = 0; ///< highest of a record
};

/// Hands out the records of every block of a damaged checkpoint file that has a correct checksum.
/// They are what the shard held; others are missing. corruption: its header cannot be read, which
/// every block's checksum begins with.
op_result<salvaged_checkpoint>
salvage_checkpoint(file_system& files, const std::string& path,
                   const std::function<void(const checkpoint_record&)>& visit);

} // namespace warp::storage
