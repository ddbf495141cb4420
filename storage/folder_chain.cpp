#include "storage/folder_chain.hpp"

#include "storage/path.hpp"

#include <algorithm>

namespace warp::storage {

op_result<folder_chain> folder_chain::make(file_system& files, const std::string& folder) {
  folder_chain chain{files, folder};
  for (auto path = folder;;) {
    auto known = files.exists(path);
    if (!known) return known.status();
    if (*known || path == "/" || path == ".") break;
    path = folder_of(path);
    chain.changed_.push_back(path);
  }
  if (!chain.changed_.empty())
    if (auto s = files.create_folder(folder); !s.ok()) return s;
  return chain;
}

op_status folder_chain::sync() {
  for (auto at = folder_; at != "/" && at != ".";) {
    at = folder_of(at);
    const bool ours = std::ranges::find(changed_, at) != changed_.end();
    if (auto s = files_->sync_folder(at); !s.ok() && ours) return s;
  }
  return {};
}

} // namespace warp::storage
