#include "cluster/replication/planted.hpp"
#include "cluster/replication/replica.hpp"

#include <algorithm>
#include <utility>

namespace warp::cluster::replication {

// R10: a copy without a seat asks for the end of the log, and takes a checkpoint where that is
// gone.

void replica::seek_primary() {
  const bool fetching = rebuilding_ == rebuilding::fetching && pins_ != 0;
  if ((rebuilding_ != rebuilding::no && !fetching) || known_.epoch == 0 || is_member() ||
      !is_known())
    return;
  const bool hears = proved_epoch_ != 0 && proved_epoch_ == max_epoch_ &&
                     now_ - heard_at_ < 2 * options_.join_interval;
  if ((hears && !fetching) || (joined_at_ != 0 && now_ - joined_at_ < options_.join_interval))
    return;
  joined_at_ = now_;
  const auto end = log_.last();
  for (const auto& m : known_.isr)
    if (m.node != self_.node)
      send(m.node, join{end.lsn, end.epoch, commit_lsn_, fetching ? pins_ : 0, incomplete_});
}

void replica::on(const message& from, const join& m) {
  const auto node = from.from.node;
  if (stands_ != standing::primary) {
    others_[node] = {m, now_};
    return;
  }
  if (!known_.knows(node)) return; // or etcd is not read yet: it will ask again
  const auto found = peers_.find(node);
  if (found != peers_.end() && found->second.boot > from.from.boot) return;
  if (found == peers_.end() || found->second.boot != from.from.boot) {
    peers_[node] = {};
    peers_[node].boot = from.from.boot;
    peers_[node].progress_at = now_;
  }
  auto& p = peers_[node];
  p.pins = m.pins;
  p.pinned_at = now_;
  if (m.pins != 0) {
    if (m.pins < log_.base().lsn && !options_.reads_log)
      send(node, rebuild{reign_}); // that one is outdated already
    change_members();
    return;
  }
  if (log_.matches(m.last_lsn, m.last_epoch)) {
    p.sent = m.last_lsn;
  } else if (m.commit_lsn >= log_.base().lsn) {
    p.sent = log_.at_or_below_unhashed(m.commit_lsn).lsn; // what is committed is the same in both
  } else if (options_.reads_log) {
    p.sent = m.commit_lsn;
  } else {
    p.sent = log_.last().lsn;
    if (!known_.lists(from.from)) send(node, rebuild{reign_});
    change_members();
    return;
  }
  send_append(node, p);
  change_members(); // an older boot of it is dropped at once (R5)
}

void replica::on(const message&, const rebuild& m) {
  if (rebuilding_ == rebuilding::fetching && pins_ != 0 && m.epoch >= known_.epoch) {
    pins_ = 0;
    checkpoint_asked_at_ = 0;
    act(action::checkpoint_outdated{});
    return;
  }
  if (stands_ != standing::follower || rebuilding_ != rebuilding::no || m.epoch < max_epoch_ ||
      m.epoch < known_.epoch || is_member() || change_)
    return;
  begin_rebuilding();
}

void replica::on(const event::copy_damaged&) {
  // Alone in the set, or as a node that has yet to find out whether it is, it may be all there is.
  if (stands_ != standing::follower || rebuilding_ != rebuilding::no || change_ || !is_member() ||
      known_.isr.size() < 2 || known_.primary.node == self_.node)
    return;
  begin_rebuilding();
}

void replica::begin_rebuilding() {
  held_.reset();
  incomplete_ = true;
  rebuilding_ = rebuilding::marking;
  rebuild_position_ = write(wal::incomplete{});
  act(action::sync_wal{});
}

void replica::go_on_rebuilding() {
  switch (rebuilding_) {
  case rebuilding::marking:
    if (wal_synced_ < rebuild_position_) return;
    if (planted(mistake::checkpoint_same_boot)) {
      rebuilding_ = rebuilding::fetching;
      return;
    }
    rebuilding_ = rebuilding::drawing;
    act(action::draw_boot{});
    return;
  case rebuilding::fetching: {
    if (checkpoint_asked_at_ != 0 && now_ - checkpoint_asked_at_ < options_.authority_timeout)
      return;
    checkpoint_asked_at_ = now_;
    auto from = known_.isr;
    std::erase_if(from, [&](const member& m) { return m.node == self_.node; });
    if (!from.empty()) send(from[checkpoint_turn_++ % from.size()].node, checkpoint_request{});
    return;
  }
  case rebuilding::installing:
    if (wal_synced_ < rebuild_position_) return;
    rebuilding_ = rebuilding::no;
    joined_at_ = 0;
    return;
  case rebuilding::no:
  case rebuilding::drawing:
    return;
  }
}

void replica::on(const event::boot_drawn& e) {
  if (rebuilding_ != rebuilding::drawing) return;
  self_.boot = e.boot;
  rebuilding_ = rebuilding::fetching;
  checkpoint_asked_at_ = 0;
  go_on_rebuilding();
}

void replica::on(const message& from, const checkpoint_request&) {
  if (!is_member() || incomplete_ || rebuilding_ != rebuilding::no || !fenced()) return;
  act(action::offer_checkpoint{from.from.node, max_epoch_});
}

void replica::on(const event::checkpoint_coming& e) {
  if (rebuilding_ != rebuilding::fetching) return;
  pins_ = e.end_lsn;
  joined_at_ = 0;
  seek_primary();
}

void replica::on(const event::checkpoint_received& e) {
  if (rebuilding_ != rebuilding::fetching) return;
  pins_ = 0;
  if (e.max_epoch < max_epoch_) { // R1
    checkpoint_asked_at_ = 0;
    return;
  }
  if (!planted(mistake::checkpoint_no_fence)) raise_fence(e.max_epoch);
  log_ = replica_log{e.end};
  commit_lsn_ = e.end.lsn;
  proved_epoch_ = 0;
  proved_lsn_ = told_durable_ = 0;
  rebuild_position_ = write(wal::installation{e.end});
  act(action::sync_wal{});
  rebuilding_ = rebuilding::installing;
}

void replica::on(const event::checkpoint_published& e) {
  auto end = std::min(e.end_lsn, commit_lsn_);
  if (stands_ == standing::primary)
    for (const auto& m : known_.isr)
      if (const auto at = peers_.find(m.node); at != peers_.end())
        end = std::min(end, at->second.appended);
  end = std::min(end, pinned());
  if (end > log_.base().lsn) log_.trim(end);
}

/// What is kept for those who take a checkpoint: bounded in length and in time. Nothing where it
/// can be read back: a checkpoint may travel for long, and records that wait for it have no bound
/// in bytes (I12). The log reaches back to the oldest checkpoint that is kept, so a copy that finds
/// its tail gone has been behind several of them, and begins anew.
lsn_t replica::pinned() const {
  auto least = lsn_max;
  if (options_.reads_log && !planted(mistake::pins_without_end)) return least;
  for (const auto& [node, p] : peers_)
    if (p.pins != 0 && now_ - p.pinned_at <= options_.pin_timeout &&
        (log_.last().lsn - std::min(p.pins, log_.last().lsn) <= options_.pin_max ||
         planted(mistake::pins_without_end)))
      least = std::min(least, p.pins);
  return least;
}

void replica::on(const event::log_read& e) {
  const auto at = peers_.find(e.to);
  if (stands_ != standing::primary || !fenced() || at == peers_.end()) return;
  auto& p = at->second;
  p.read_at.reset();
  if (p.sent != e.after) return; // something has come between
  if (e.records.empty()) {
    p.sent = log_.last().lsn;
    if (!known_.lists({e.to, p.boot}))
      send(e.to, rebuild{reign_}); // a member will be dropped first
    return;
  }
  p.sent = e.records.back().lsn;
  p.sent_at = now_;
  auto after = e.after;
  auto after_epoch = e.after_epoch;
  for (std::size_t begin = 0, end = 0; begin != e.records.size(); begin = end) {
    for (std::size_t bytes = 0; end != e.records.size(); ++end) {
      bytes += e.records.body_at(end).size();
      if (bytes > options_.batch_bytes_max && end != begin) break;
    }
    auto some = e.records.part(begin, end - begin);
    const auto [last, last_epoch] = std::pair{some.back().lsn, some.back().epoch};
    send(e.to, append{reign_, after, after_epoch, commit_lsn_, now_, std::move(some),
                      known_.reset_epoch});
    after = last;
    after_epoch = last_epoch;
  }
}

void replica::on(const message&, const release&) {
  read_wanted_ = true;
  ask_authority();
}

} // namespace warp::cluster::replication
