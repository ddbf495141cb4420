#pragma once

#include "messages/status.hpp"
#include "storage/file_system.hpp"

#include <string>
#include <vector>

namespace warp::storage {

/// Making a folder of ours so that a loss of power does not take it away: its own entry, and those
/// of parents that were made with it, must be synced.
class folder_chain {
public:
  /// Makes the folder, and its parents where they are missing. Nothing is synced yet.
  static op_result<folder_chain> make(file_system& files, const std::string& folder);

  /// Makes the entries durable. What make() found there may have been made by a process that was
  /// killed before it came to this, so the parents above are synced as well; those may be closed to
  /// us, and then they were not made by one of us.
  op_status sync();

private:
  folder_chain(file_system& files, std::string folder)
      : files_(&files), folder_(std::move(folder)) {}

  file_system* files_;
  std::string folder_;
  std::vector<std::string> changed_; ///< folders that make() made entries in
};

} // namespace warp::storage
