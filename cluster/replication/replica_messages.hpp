#pragma once

#include "cluster/replication/authority.hpp"
#include "cluster/replication/read_lease.hpp"
#include "cluster/replication/replica_log.hpp"

#include <optional>
#include <variant>
#include <vector>

namespace warp::cluster::replication {

/// Primary to member or learner: records, or a heartbeat without any. The log up to `previous` is
/// the primary's.
struct append {
  epoch_t epoch = 0;
  lsn_t previous_lsn = 0;
  epoch_t previous_epoch = 0;
  lsn_t commit_lsn = 0;
  moment sent_at = 0; ///< of the primary's clock; the Ack sends it back
  log_run records;
  epoch_t reset_epoch = 0; ///< R11: of the authority key
  /// What the primary waits for: an Ack as soon as the records are appended, as soon as they are
  /// synced. Of the other it hears with that one, or a little later.
  bool wants_appended = true, wants_durable = true;
};

/// Answer: both LSNs end where this Append has proved the logs equal, never at the acker's own end.
struct append_ack {
  epoch_t epoch = 0;
  lsn_t appended_lsn = 0;
  lsn_t durable_lsn = 0;         ///< synced as well
  std::optional<moment> granted; ///< sent_at of the Append: a read lease from there; absent: none
};

/// Refusal: of an epoch that is over (`max_epoch` is above it), or of records that do not fit.
struct append_nack {
  epoch_t max_epoch = 0;
  lsn_t need_from = 0; ///< of records that do not fit: what to send instead
};

/// A copy without a seat says hello (R10); also to other copies while there is no primary, so that
/// the longest log claims first (R11).
struct join {
  lsn_t last_lsn = 0;
  epoch_t last_epoch = 0;
  lsn_t commit_lsn = 0;
  /// R10: a checkpoint with this end is on its way into the copy: keep the log from there on, and
  /// send nothing yet. 0: none.
  lsn_t pins = 0;
  /// A checkpoint has come into this copy, and the set has not taken it in since: whatever it has,
  /// it takes up no seat by itself (R11).
  bool incomplete = false;
};

/// Answer to a join whose log does not fit any more: take a checkpoint.
struct rebuild {
  epoch_t epoch = 0;
};

/// A learner to any member. The answer is no message of this machine: checkpoints travel on a
/// stream of their own and arrive as checkpoint_received.
struct checkpoint_request {};

/// Old primary to the new one of a planned move (R12): read etcd, and begin.
struct release {
  epoch_t epoch = 0;
};

struct message {
  member from;
  std::variant<append, append_ack, append_nack, join, rebuild, checkpoint_request, release> body;
};

} // namespace warp::cluster::replication
