#pragma once

#include "cluster/replication/read_lease.hpp"
#include "messages/ids.hpp"

#include <cstddef>
#include <cstdint>

namespace warp::cluster::replication {

/// What an acknowledged write has survived (R3), weakest first.
enum class ack_level : std::uint8_t {
  async,      ///< in the primary's log
  sync,       ///< synced in the primary's log
  replicated, ///< appended by the whole ack set
  durable,    ///< synced by the whole ack set
};

struct replication_options {
  /// What a record needs to be committed: `replicated` or `durable`.
  ack_level level = ack_level::durable;
  /// Below so many members (confirmed or proposed) writes are refused with no_replicas (R3);
  /// event::min_isr_wanted changes it.
  std::size_t min_isr = 1;
  /// L of R7: how long an Ack lets the primary read.
  moment lease = 1 * seconds;
  /// rho of R7: the ratio of any two clock rates is at most 1 + rho.
  double clock_ratio = 0.05;
  /// T_isr of R5: a member without progress for so long is dropped.
  moment member_timeout = 1 * seconds;
  /// R6: candidates wait so much for each place they stand behind the first.
  moment rank_delay = 150 * milliseconds;
  moment heartbeat = 200 * milliseconds;
  /// After so long without an Ack what was sent is sent again.
  moment resend = 300 * milliseconds;
  /// After so long a request to etcd is made again, after up to four times as long where several
  /// were not answered; a copy that hears nothing reads its key so often.
  moment authority_timeout = 500 * milliseconds;
  /// The key is read again after so long without news, for watches that lose events.
  moment authority_reread = 30 * seconds;
  moment join_interval = 300 * milliseconds;
  /// R12: a move that is not ready to be settled after so long goes on as if not asked for.
  moment move_timeout = 1 * seconds;
  /// LSNs that a primary may be ahead of what is committed: bounds memory and undo list (I12), and
  /// is what a new primary leaves out so that no version repeats (R8).
  lsn_t window = 65'536;
  /// LSNs that are left out where a loss was accepted (R11), so that no version of what was lost
  /// comes again.
  lsn_t loss_leap = lsn_t{1} << 32;
  /// R10: a node that takes a checkpoint has the log kept from its end on, so many LSNs at most
  /// (I12) and for as long as it says so at least this often.
  lsn_t pin_max = 1 << 20;
  moment pin_timeout = 5 * seconds;
  /// An Ack waits for its sync, to tell of both, for so long at most.
  moment ack_delay_max = 25 * milliseconds;
  /// Records of one Append.
  std::size_t batch_max = 256;
  /// And bytes of their bodies, but for a single one.
  std::size_t batch_bytes_max = 8u << 20;
  /// Records that this machine has forgotten can be read back (action::read_log).
  bool reads_log = false;

  /// L(1 + rho): what an acker promises.
  [[nodiscard]] moment promise() const {
    return lease + static_cast<moment>(static_cast<double>(lease) * clock_ratio);
  }
};

} // namespace warp::cluster::replication
