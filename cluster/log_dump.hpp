#pragma once

#include "cluster/admin_types.hpp"
#include "messages/ids.hpp"
#include "messages/status.hpp"
#include "storage/file_system.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

namespace warp::cluster {

/// Which part of a log is wanted.
struct log_selection {
  std::optional<shard_id> shard; ///< none: all, in the order of the files
  lsn_t from = 0;                ///< frames that hold it or begin behind it
  lsn_t up_to = lsn_max;         ///< records above it are left out
  bool with_values = false;
};

/// Where a frame stands.
struct log_place {
  shard_id shard;
  std::string path;
  std::uint64_t offset = 0;
  std::uint32_t stream = 0;
  bool cuts = false; ///< it replaces what the shard's log held above the frame's previous LSN
};

/// Reads the log files of a data folder, oldest first, and hands out the frames with records until
/// `visit` returns false. Changes nothing and takes no lock, so it works beside a server, whose
/// newest frames may then be missing or, unless up_to says otherwise, not yet be synced. Shows what
/// stands in the files: also what a checkpoint covers already. The tail that a crash left behind is
/// passed over, as at a start. invalid_argument or not_found (not a data folder), corruption (a
/// damaged frame before the end; path and offset), io_error.
op_status read_log(storage::file_system& files, const std::string& folder,
                   const log_selection& selection,
                   const std::function<bool(const log_place&, const log_frame_summary&)>& visit);

/// One page for `warp wal dump` over the network: about `limit` records of one shard.
op_result<log_page> read_log_page(storage::file_system& files, const std::string& folder,
                                  const log_selection& selection, std::size_t limit);

} // namespace warp::cluster
