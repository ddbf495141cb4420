#pragma once

#include "messages/status.hpp"
#include "storage/file_system.hpp"
#include "storage/manifest.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace warp::storage {

/// Every checksum of a checkpoint file, and that it is the one the manifest means. Statuses as of
/// checkpoint_reader; not_found when it is gone.
op_status verify_checkpoint_file(file_system& files, const std::string& path,
                                 const checkpoint_info& expected, const manifest& of);

/// Every checksum of a log segment, up to what its frames say is on disk; a torn tail is none of
/// its faults. Statuses as of scan_segment().
op_status verify_segment_file(file_system& files, const std::string& path, const manifest& of);

struct verify_report {
  std::uint64_t checkpoints = 0, segments = 0; ///< files checked; the manifest comes in addition
  std::uint64_t bytes = 0;
  std::vector<std::string> findings; ///< what is damaged: sentences with path and offset
};

/// Checks everything at rest in a data folder: the manifest, the checkpoints it names, the log. It
/// changes nothing and takes no lock: it may run beside a server, whose files come, go and are
/// used again meanwhile; so a finding counts only when a second look finds it again. What no single
/// file can tell (a segment that is missing) is a start's to find, or repair()'s.
///
/// corruption is not a status but a finding; not_found or invalid_argument: no data folder;
/// version_mismatch; io_error; shutting_down: a paced_file_system was stopped.
op_result<verify_report> verify_folder(file_system& files, const std::string& folder);

} // namespace warp::storage
