#pragma once

#include "messages/ids.hpp"

#include <algorithm>
#include <compare>
#include <cstdint>
#include <optional>
#include <vector>

namespace warp::cluster::replication {

/// A node, stable over restarts: kept in its data folder.
using node_id = strong_id<struct node_id_tag, std::uint32_t>;
/// One life of one copy of a shard: drawn anew at each process start and each installed
/// checkpoint. Of two boots of one node the later one is greater. 0: none.
using boot_id = strong_id<struct boot_id_tag, std::uint64_t>;

/// Under which a shard's key lists its first member before any copy has lived: whoever starts with
/// nothing may take that seat up (R11).
inline constexpr boot_id never_lived{1};

/// One life of one copy. Everything that is promised is promised by a member, never by a node.
struct member {
  node_id node;
  boot_id boot;
  friend constexpr auto operator<=>(const member&, const member&) = default;
};

/// The value of the key `shards/<s>` in etcd, the only thing that says who may serve the shard.
/// Each change is a compare-and-set on the revision and raises the epoch by one, so an epoch has
/// exactly one primary.
struct authority {
  epoch_t epoch = 0; ///< 0: nothing was read yet
  member primary;
  std::vector<member> isr; ///< the in-sync set; holds the primary
  /// Nodes outside of it that may join: those that are to get a copy, and those that were dropped.
  std::vector<node_id> learners;
  /// R11: the epoch in which an operator has accepted a loss last; 0: never. What older copies know
  /// to be committed may be lost.
  epoch_t reset_epoch = 0;

  [[nodiscard]] bool lists(member who) const { return std::ranges::find(isr, who) != isr.end(); }
  /// The boot under which a node is listed, if it is.
  [[nodiscard]] std::optional<boot_id> boot_of(node_id node) const {
    const auto at = std::ranges::find(isr, node, &member::node);
    return at == isr.end() ? std::nullopt : std::optional{at->boot};
  }
  [[nodiscard]] bool has_learner(node_id node) const {
    return std::ranges::find(learners, node) != learners.end();
  }
  /// Whether a node may have a copy, in whatever life.
  [[nodiscard]] bool knows(node_id node) const { return boot_of(node) || has_learner(node); }
  friend bool operator==(const authority&, const authority&) = default;
};

} // namespace warp::cluster::replication
