#include "cluster/replication/planted.hpp"
#include "cluster/replication/replica.hpp"

#include <algorithm>

namespace warp::cluster::replication {

// R1: nothing is sent, acknowledged or applied in an epoch before it is on disk as max_epoch.

void replica::raise_fence(epoch_t epoch) {
  if (epoch <= max_epoch_) return;
  max_epoch_ = epoch;
  fence_position_ = write(wal::fence{epoch});
  act(action::sync_wal{});
}

bool replica::fenced() const {
  return wal_synced_ >= fence_position_ || planted(mistake::fence_not_synced);
}

void replica::on(const message& from, const append& m) {
  if (m.epoch < max_epoch_ && !planted(mistake::lower_epoch_accepted)) {
    if (fenced()) send(from.from.node, append_nack{max_epoch_, 0});
    return;
  }
  if (stands_ != standing::follower) {
    if (m.epoch <= std::max(reign_, max_epoch_)) {
      if (from.from != self_ && m.epoch == reign_ && stands_ == standing::primary)
        broken("two primaries in one epoch");
      return;
    }
    step_down();
  }
  if (rebuilding_ != rebuilding::no) return; // there is no log that could fit
  if (change_ && change_->settled_by_epoch(m.epoch)) change_.reset();
  if (m.epoch > known_.epoch) {
    read_wanted_ = true;
    if (!read_asked_at_) ask_authority();
  }
  raise_fence(m.epoch);
  if (!fenced()) {
    held_ = from; // one is enough: what is lost is sent again
    return;
  }
  accept(from, m);
}

void replica::accept(const message& from, const append& m) {
  if (m.epoch < max_epoch_ && !planted(mistake::lower_epoch_accepted)) return;
  if (stands_ != standing::follower || rebuilding_ != rebuilding::no) return;
  // R11: of a copy from before an accepted loss all that it knows to be committed has to be in the
  // primary's log. It has no seat: who has one has the no-op of a later reign. At the same LSN
  // there may be the record of another epoch, and a Nack would only bring the same Append again.
  const bool from_before = log_.last().epoch < m.reset_epoch && !planted(mistake::loss_not_told);
  const bool ends_there =
      m.previous_lsn == commit_lsn_ && !log_.matches(commit_lsn_, m.previous_epoch);
  if (from_before && (m.previous_lsn < commit_lsn_ || ends_there)) {
    begin_rebuilding();
    return;
  }
  // R2. What is committed is equal in all logs: a checkpoint may have taken the place of it.
  const bool fits = (!from_before && m.previous_lsn <= log_.base().lsn) ||
                    log_.matches(m.previous_lsn, m.previous_epoch);
  const bool blind = planted(mistake::no_match) && m.previous_lsn <= log_.last().lsn;
  heard_at_ = now_;
  primary_heard_ = from.from.node;
  if (!fits && !blind) {
    send(from.from.node, append_nack{max_epoch_, commit_lsn_ + 1});
    return;
  }
  if (proved_epoch_ != m.epoch) {
    proved_epoch_ = m.epoch;
    proved_lsn_ = told_durable_ = 0;
    owed_.reset();
  }
  const auto took = take_records(m);
  if (took == taken::refused) return;
  const auto end = m.records.empty() ? m.previous_lsn : m.records.back().lsn;
  proved_lsn_ = std::max(proved_lsn_, end);
  commit_up_to(std::min(m.commit_lsn, planted(mistake::commit_own_end) ? log_.last().lsn : end));
  durable_wanted_ = m.wants_durable;
  if (took == taken::written && m.wants_durable && !m.wants_appended) {
    owed_ = {from.from.node, m.sent_at, owed_ ? owed_->since : now_};
    return;
  }
  acknowledge(from.from.node, m.sent_at);
}

/// Of all that this primary has proved.
void replica::acknowledge(node_id to, moment sent_at) {
  append_ack ack{
      proved_epoch_, planted(mistake::ack_own_end) ? log_.last().lsn : proved_lsn_, 0, {}};
  ack.durable_lsn = std::min(log_.durable(wal_synced_), ack.appended_lsn);
  told_durable_ = std::max(told_durable_, ack.durable_lsn);
  owed_.reset();
  // R6: a candidate grants nothing until its compare-and-set is settled. R7: the promise is raised
  // before the Ack leaves.
  if (!change_ || planted(mistake::candidate_grants)) {
    promise_.raise(now_, options_.promise());
    ack.granted = sent_at;
  }
  send(to, ack);
}

/// A slow disk must not cost the primary its lease, or this copy its seat.
void replica::acknowledge_at_last() {
  if (owed_ && now_ - owed_->since >= options_.ack_delay_max && proved_epoch_ == max_epoch_ &&
      rebuilding_ == rebuilding::no)
    acknowledge(owed_->to, owed_->sent_at);
}

replica::taken replica::take_records(const append& m) {
  auto previous = std::max(m.previous_lsn, log_.base().lsn);
  std::size_t had = 0; // at the front, of what it brings
  for (; had < m.records.size(); ++had) {
    const auto lsn = m.records.lsn_at(had);
    if (lsn <= log_.base().lsn) continue;
    if (!log_.matches(lsn, m.records.epoch_at(had))) break;
    previous = lsn;
  }
  const bool written = had < m.records.size();
  if (written) {
    // R2: only here, where the log goes on otherwise than the batch, is anything cut off.
    if (log_.last().lsn > previous) {
      if (commit_lsn_ > previous) {
        broken("an Append of epoch " + std::to_string(m.epoch) + " with LSN " +
               std::to_string(m.records.lsn_at(had)) + " would cut off what is committed up to " +
               std::to_string(commit_lsn_));
        return taken::refused;
      }
      cut_from(previous + 1);
    }
    write_records(m.records.part(had, m.records.size() - had));
  }
  const auto end = m.records.empty() ? m.previous_lsn : m.records.back().lsn;
  if (planted(mistake::truncate_always) && end < log_.last().lsn && end > log_.base().lsn) {
    cut_from(end + 1);
    commit_lsn_ = std::min(commit_lsn_, end);
  }
  if (!written) return taken::nothing_new;
  // Where nobody waits for the disk it takes its time, but for a copy that wants a seat (R4).
  if (m.wants_durable || !is_member()) act(action::sync_wal{});
  return taken::written;
}

void replica::commit_up_to(lsn_t lsn) {
  const auto at = log_.at_or_below_unhashed(lsn).lsn;
  if (at <= commit_lsn_) return;
  commit_lsn_ = at;
  write(wal::commit{at});
  act(action::committed{at});
}

void replica::tell_durable() {
  if (proved_epoch_ != max_epoch_ || rebuilding_ != rebuilding::no) return;
  const auto durable = std::min(log_.durable(wal_synced_), proved_lsn_);
  if (durable <= told_durable_ || !durable_wanted_) return;
  if (owed_ && durable == proved_lsn_) return acknowledge(owed_->to, owed_->sent_at);
  told_durable_ = durable;
  send(primary_heard_, append_ack{proved_epoch_, proved_lsn_, durable, {}});
}

} // namespace warp::cluster::replication
