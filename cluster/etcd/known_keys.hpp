#pragma once

#include "cluster/etcd/answer_json.hpp"
#include "cluster/etcd/answers.hpp"

#include <cstddef>
#include <map>
#include <string>
#include <vector>

namespace warp::cluster::etcd {

/// What a watch has told of the keys under a prefix: finds what is new in a list or an event. Pure.
/// One thread.
class known_keys {
public:
  /// Everything up to this revision was told.
  [[nodiscard]] revision_t seen() const noexcept { return seen_; }

  /// A list that was asked for when seen() was `asked_at`: the keys that differ from what was told.
  /// One that is older than that comes from an etcd that was set up anew or from a backup: then
  /// what it has is all there is, and every key, known or listed, counts as different.
  [[nodiscard]] std::vector<std::string> take(const range_answer& list, revision_t asked_at);
  /// Events of a stream: the keys whose change was not told yet.
  [[nodiscard]] std::vector<std::string> take(const watch_line& line);

private:
  std::map<std::string, revision_t> revisions_;
  revision_t seen_ = 0;
};

} // namespace warp::cluster::etcd
