#pragma once

#include "storage/forwarding_file_system.hpp"

#include <map>
#include <string>

namespace warp::storage {

/// Another file system as it would be: reads come from there, or from what was laid over it;
/// writes to files that exist are accepted and forgotten, everything else that changes something is
/// refused. So recovery can be tried on a folder that stays as it is. Its lock() asks nobody: the
/// caller holds the folder.
class read_only_file_system final : public forwarding_file_system {
public:
  explicit read_only_file_system(file_system& below) : forwarding_file_system(below) {}

  /// From now on the file has these bytes.
  void lay_over(const std::string& path, std::string bytes) { over_[path] = std::move(bytes); }

  op_result<std::unique_ptr<file>> open(const std::string& path, open_mode mode) override;
  op_result<std::vector<std::string>> list(const std::string& folder) override;
  op_result<bool> exists(const std::string& path) override;
  op_status sync_folder(const std::string& folder) override;
  op_result<std::unique_ptr<folder_lock>> lock(const std::string& folder) override;

private:
  [[nodiscard]] op_status ask(call what, const std::string& path) override;

  std::map<std::string, std::string> over_;
};

} // namespace warp::storage
