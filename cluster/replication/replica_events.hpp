#pragma once

#include "cluster/replication/replica_messages.hpp"
#include "cluster/replication/replica_options.hpp"
#include "messages/status.hpp"

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

namespace warp::cluster::replication {

/// A write that wants to be logged. `token` names it in the answer.
struct client_write {
  std::uint64_t token = 0;
  ack_level level = ack_level::durable;
  shared_bytes body;
};

/// What the wiring tells a replica. All times are of the node's own clock, handed to step().
namespace event {
/// Time has passed; at least every 50 ms.
struct tick {};
struct received {
  message what;
};
/// The write-ahead log is on disk up to this place.
struct wal_synced {
  std::uint64_t position = 0;
};
/// A linearizable read of the authority key has answered, or a compare-and-set of this copy has
/// certainly succeeded with this revision.
struct authority_read {
  std::uint64_t revision = 0;
  authority value;
};
/// The watch has rung: something may have changed. Never believed, only a reason to read.
struct authority_doorbell {};
/// etcd has answered that the compare did not hold. Proves nothing: an earlier try may have landed.
struct compare_failed {
  std::uint64_t compared_revision = 0;
};
/// The boots that are alive according to the keys `nodes/`: a hint, for deferral only.
struct nodes_seen {
  std::vector<member> live;
};
/// Writes were executed against the table, one after the other (the wiring has tagged what they
/// changed as pending), and want to be logged. They leave in one Append for each member.
struct client_writes {
  std::vector<client_write> writes;
};
/// A value was read from the table *before* this event, and in the same reign; `depends_on` is the
/// LSN of the pending record that wrote it, 0 for a committed one.
struct client_read {
  std::uint64_t token = 0;
  lsn_t depends_on = 0;
};
/// Placement asks the primary to hand over to a member (R12).
struct move_requested {
  node_id target;
  bool leave = false; ///< and to give up the own seat, as when a shard moves away
};
/// Placement says who is to hold a copy: the primary brings it about, one change at a time (R4,
/// R10, R12). Told again and again, to any copy; until it was told, nobody is superfluous.
struct members_wanted {
  std::vector<node_id> nodes;
};
/// The machine of a node says that nobody listens there: its process has ended, as at a planned
/// stop. A hint: a primary drops it as if it had been silent for long (R5).
struct node_gone {
  node_id node;
};
/// The configuration says how many members a write needs now (R3); told to every copy.
struct min_isr_wanted {
  std::size_t count = 1;
};
/// An operator gives up what this copy does not have (R11, `warp cluster accept-loss`); answered by
/// loss_accepted or loss_refused.
struct accept_loss {};
/// Answer to draw_boot.
struct boot_drawn {
  boot_id boot;
};
/// A checkpoint with this end has begun to arrive: the log behind it should be kept (R10).
struct checkpoint_coming {
  lsn_t end_lsn = 0;
};
/// A whole checkpoint has arrived and is verified, beside the copy it may replace.
struct checkpoint_received {
  epoch_t max_epoch = 0; ///< of its sender
  log_position end;
};
/// Answer to read_log: what comes behind `after`, and the epoch of the record there. No records:
/// the log no longer reaches back so far.
struct log_read {
  node_id to;
  lsn_t after = 0;
  epoch_t after_epoch = 0;
  log_run records;
};
/// What is at rest of this copy is damaged: a follower takes a checkpoint, and gives its seat up
/// with its boot (R10). For others it is too early; tell it again.
struct copy_damaged {};
/// The log up to here may be forgotten: a published checkpoint of this copy has it, or the wiring
/// can read it back.
struct checkpoint_published {
  lsn_t end_lsn = 0;
};
} // namespace event

using replica_event =
    std::variant<event::tick, event::received, event::wal_synced, event::authority_read,
                 event::authority_doorbell, event::compare_failed, event::nodes_seen,
                 event::client_writes, event::client_read, event::move_requested, event::boot_drawn,
                 event::checkpoint_received, event::checkpoint_published, event::copy_damaged,
                 event::members_wanted, event::accept_loss, event::checkpoint_coming,
                 event::log_read, event::min_isr_wanted, event::node_gone>;

/// What goes into the write-ahead log, in this order; each piece has the next place, from 1.
namespace wal {
struct fence { ///< R1
  epoch_t max_epoch = 0;
};
struct records {
  log_run what;
};
struct truncation { ///< everything from here on is cut off
  lsn_t from = 0;
  std::size_t count = 0, body_bytes = 0; ///< of that
};
struct commit { ///< a lower bound that a restart may begin with
  lsn_t lsn = 0;
};
/// R10: a checkpoint is on its way into this copy, until `complete`.
struct incomplete {};
/// Ends what a repair has left of a copy, too (recovered_copy::repaired).
struct complete {};
/// The received checkpoint takes the place of table and log.
struct installation {
  log_position end;
};
} // namespace wal
using wal_piece = std::variant<wal::fence, wal::records, wal::truncation, wal::commit,
                               wal::incomplete, wal::complete, wal::installation>;

/// What a replica wants done, in this order.
namespace action {
struct send {
  node_id to;
  message what;
};
struct write_wal {
  std::uint64_t position = 0;
  wal_piece what;
};
/// Everything written so far should get to disk at once; answered by wal_synced. Several make one
/// sync. What nobody asks this for gets there in a while, and is told of as well.
struct sync_wal {};
struct read_authority {};
/// Set the key to `value` if its revision is still the one compared; may be lost, late or done
/// twice.
struct compare_and_set {
  std::uint64_t compared_revision = 0;
  authority value;
};
/// So many writes at the front of client_writes have LSNs, one by one from this on: what they
/// changed waits for it. Comes before their answers; the others are answered, and did not happen.
struct logged {
  lsn_t first = 0;
  std::size_t count = 0;
};
/// The answer to a client_write or client_read. ok; no_replicas, overloaded and unavailable:
/// nothing was done; outcome_unknown: it may be done, a retry by request id is safe.
struct answer {
  std::uint64_t token = 0;
  op_code code = op_code::ok;
  lsn_t lsn = 0; ///< of a write
};
/// Committed up to here: a follower applies, a primary's pending entries stand.
struct committed {
  lsn_t lsn = 0;
};
/// R9: what is pending above this LSN did not happen, request ids included.
struct undo_pending {
  lsn_t above = 0;
};
/// R8: from now on this copy serves reads and writes, or does so no more.
struct serving {
  bool begins = false;
  epoch_t epoch = 0;
};
struct draw_boot {};
/// Send the newest checkpoint, with this max_epoch (R1).
struct offer_checkpoint {
  node_id to;
  epoch_t max_epoch = 0;
};
/// R11: from this epoch on this copy is the truth; to be logged and counted.
struct loss_accepted {
  epoch_t reset_epoch = 0;
};
struct loss_refused {
  std::string why;
};
/// The log behind the checkpoint that is arriving is gone: a newer one has to be taken (R10).
struct checkpoint_outdated {};
/// Somebody needs records that this machine has forgotten, about so many; answered by log_read.
struct read_log {
  node_id to;
  lsn_t after = 0;
  std::size_t count_max = 0;
};
/// A rule was broken that no fault explains: stop, keep everything for a look.
struct broken_rule {
  std::string what;
};
} // namespace action

using replica_action =
    std::variant<action::send, action::write_wal, action::sync_wal, action::read_authority,
                 action::compare_and_set, action::logged, action::answer, action::committed,
                 action::undo_pending, action::serving, action::draw_boot, action::offer_checkpoint,
                 action::loss_accepted, action::loss_refused, action::checkpoint_outdated,
                 action::read_log, action::broken_rule>;

} // namespace warp::cluster::replication
