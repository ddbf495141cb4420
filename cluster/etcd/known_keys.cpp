#include "cluster/etcd/known_keys.hpp"

#include <algorithm>

namespace warp::cluster::etcd {

std::vector<std::string> known_keys::take(const range_answer& list, revision_t asked_at) {
  std::vector<std::string> different;
  const auto at = list.header.revision;
  if (at < asked_at) {
    for (const auto& [key, revision] : revisions_) different.push_back(key);
    revisions_.clear();
    seen_ = 0;
  }
  std::map<std::string, revision_t> listed;
  for (const auto& kv : list.keys) listed.emplace(kv.key, kv.mod_revision);
  for (auto known = revisions_.begin(); known != revisions_.end();) {
    // What changed behind the list is not in it, and was told by the stream.
    if (known->second <= at && !listed.contains(known->first)) {
      different.push_back(known->first);
      known = revisions_.erase(known);
    } else {
      ++known;
    }
  }
  for (const auto& [key, revision] : listed) {
    auto& known = revisions_[key];
    if (known >= revision) continue;
    known = revision;
    different.push_back(key);
  }
  seen_ = std::max(seen_, at);
  std::ranges::sort(different);
  different.erase(std::ranges::unique(different).begin(), different.end());
  return different;
}

std::vector<std::string> known_keys::take(const watch_line& line) {
  std::vector<std::string> different;
  for (const auto& event : line.events) {
    if (event.mod_revision <= seen_) continue; // told before
    if (event.deleted)
      revisions_.erase(event.key);
    else
      revisions_[event.key] = event.mod_revision;
    different.push_back(event.key);
  }
  // One message holds whole revisions; a confirmation without events says nothing of what was.
  for (const auto& event : line.events) seen_ = std::max(seen_, event.mod_revision);
  std::ranges::sort(different);
  different.erase(std::ranges::unique(different).begin(), different.end());
  return different;
}

} // namespace warp::cluster::etcd
