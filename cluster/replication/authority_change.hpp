#pragma once

#include "cluster/replication/authority.hpp"
#include "cluster/replication/read_lease.hpp"

#include <cstdint>
#include <optional>

namespace warp::cluster::replication {

/// A compare-and-set of the authority key that is under way.
///
/// R4: it is settled only when the key's revision is past the one it compared. A timeout, a read of
/// the old revision and "compare failed" say nothing: it may have landed, or still land. Until then
/// it is made again with the same compare.
struct authority_change {
  enum class purpose : std::uint8_t {
    members,     ///< R5, R4: the primary adds or drops
    take_over,   ///< R6, R11
    hand_over,   ///< R12
    accept_loss, ///< R11
  };
  purpose why = purpose::members;
  std::uint64_t compared_revision = 0;
  epoch_t compared_epoch = 0; ///< of the value at that revision
  authority value;
  moment sent_at = 0;
  unsigned tries = 1;

  /// Whether a revision of the key that somebody read settles it.
  [[nodiscard]] bool settled_by_revision(std::uint64_t revision) const {
    return revision > compared_revision;
  }
  /// Whether an epoch that a message carries does: only the key can have made it.
  [[nodiscard]] bool settled_by_epoch(epoch_t epoch) const { return epoch > compared_epoch; }
};

} // namespace warp::cluster::replication
