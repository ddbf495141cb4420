#pragma once

#include "cluster/cluster_map.hpp"
#include "cluster/replication/read_lease.hpp"
#include "messages/ids.hpp"

#include <optional>
#include <utility>
#include <vector>

namespace warp::cluster {

/// When a primary hands over to the node that placement prefers (R12): not before the shard has
/// been as it is for a while, so that nothing goes back and forth, and one shard at a time. One
/// thread.
class primary_balancer {
public:
  struct options {
    replication::moment settled = 2 * replication::seconds;
    replication::moment between = 100 * replication::milliseconds;
  };
  primary_balancer(std::uint32_t shards, options o) : options_(o), seen_(shards) {}

  /// `desired`: by shard, the preferred primary first; `serves`: whether this node serves it now.
  /// The shard to hand over, and to whom; nothing: not now.
  template <class Serves>
  [[nodiscard]] std::optional<std::pair<shard_id, replication::node_id>>
  next(const cluster_map& map, const std::vector<std::vector<replication::node_id>>& desired,
       Serves serves, replication::moment now) {
    std::optional<std::pair<shard_id, replication::node_id>> found;
    for (std::uint32_t i = 0; i < seen_.size() && i < desired.size(); ++i) {
      const auto& shard = map.shards[i];
      if (shard.epoch != seen_[i].epoch) seen_[i] = {shard.epoch, now};
      if (found || now - moved_at_ < options_.between || desired[i].empty() ||
          shard.primary != map.self || now - seen_[i].since < options_.settled)
        continue;
      const auto wanted = desired[i].front();
      const auto* node = map.find(wanted);
      if (wanted == map.self || !node || !node->live ||
          std::ranges::find(shard.isr, wanted) == shard.isr.end() || !serves(shard_id{i}))
        continue;
      found.emplace(shard_id{i}, wanted);
      seen_[i].since = now; // if it comes to nothing it is tried again after a while
    }
    if (found) moved_at_ = now;
    return found;
  }

private:
  struct seen {
    epoch_t epoch = 0;
    replication::moment since = 0;
  };
  const options options_;
  std::vector<seen> seen_;
  replication::moment moved_at_ = 0;
};

} // namespace warp::cluster
