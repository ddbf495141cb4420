#include "cluster/replication/planted.hpp"
#include "cluster/replication/replica.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace warp::cluster::replication {

// R8: a new primary trusts its own log, sends it, and serves when its no-op is committed.

void replica::begin_reign() {
  stands_ = standing::primary;
  reign_ = max_epoch_;
  peers_.clear();
  const auto end = log_.last().lsn;
  for (const auto& m : known_.isr) {
    if (m.node == self_.node) continue;
    auto& p = peers_[m.node];
    p.boot = m.boot;
    p.sent = end;
    p.progress_at = p.acked_at = now_;
  }
  // Earlier primaries handed out versions up to `window` above what they had committed, which this
  // log has: none of them repeats behind the no-op.
  no_op_lsn_ = end + options_.window + 1;
  if (log_.last().epoch < known_.reset_epoch) no_op_lsn_ += options_.loss_leap;
  write_records(log_run{{no_op_lsn_, reign_, true, {}}});
  act(action::sync_wal{});
  send_appends();
  if (planted(mistake::serve_early)) begin_serving();
  advance();
}

void replica::begin_serving() {
  if (serving_) return;
  serving_ = true;
  act(action::serving{true, reign_});
}

// R9: what was under way may or may not have happened; what is pending here has not.
void replica::step_down() {
  if (serving_) act(action::serving{false, reign_});
  for (auto& of_level : writes_)
    for (; !of_level.empty(); of_level.pop_front())
      act(action::answer{of_level.front().token, op_code::outcome_unknown, of_level.front().lsn});
  for (const auto& r : std::exchange(reads_, {}))
    act(action::answer{r.token, op_code::unavailable, 0});
  if (stands_ == standing::primary) act(action::undo_pending{commit_lsn_});
  stands_ = standing::follower;
  serving_ = reads_stopped_ = false;
  reign_ = 0;
  peers_.clear();
  move_.reset();
  promise_.raise(now_, options_.promise()); // who comes next gets the time to say so
  heard_at_ = now_;
  read_wanted_ = true;
}

void replica::send_append(node_id to, peer& p) {
  send_append(to, p, options_.batch_max);
}

/// To a copy that is slow no more is sent than it answers: a heartbeat behind what is under way has
/// no records, and what was lost of that is asked for again by it.
void replica::send_heartbeat(node_id to, peer& p) {
  const bool under_way = p.sent > p.appended && p.sent >= log_.base().lsn;
  send_append(to, p, under_way ? 0 : options_.batch_max);
}

void replica::send_append(node_id to, peer& p, std::size_t count_max) {
  if (stands_ != standing::primary || !fenced()) return;
  if (p.pins != 0) return; // R10: it has no use for records yet, and says so when it has
  if (p.sent < log_.base().lsn && options_.reads_log) {
    if (p.read_at && now_ - *p.read_at < options_.resend) return;
    p.read_at = p.sent_at = now_;
    return act(action::read_log{to, p.sent, options_.batch_max});
  }
  p.sent = std::max(p.sent, log_.base().lsn);
  const auto from = log_.at_or_below_unhashed(p.sent);
  append m{reign_,
           from.lsn,
           from.epoch,
           commit_lsn_,
           now_,
           records_behind(from.lsn, count_max),
           known_.reset_epoch};
  m.wants_appended = waits_for(ack_level::replicated) || !known_.lists({to, p.boot});
  m.wants_durable = waits_for(ack_level::durable);
  p.sent = m.records.empty() ? from.lsn : m.records.back().lsn;
  p.sent_at = now_;
  send(to, std::move(m));
}

/// What goes to several members at once is put together once.
log_run replica::records_behind(lsn_t lsn, std::size_t count_max) {
  if (!together_) return log_.behind(lsn, count_max, options_.batch_bytes_max);
  auto& last = *together_;
  if (last.behind != lsn || last.records.empty())
    last = {lsn, log_.behind(lsn, count_max, options_.batch_bytes_max)};
  return last.records;
}

/// Does a commit, or an answer, wait for members to get so far?
bool replica::waits_for(ack_level level) const {
  return options_.level == level || !writes_[static_cast<std::size_t>(level)].empty();
}

void replica::send_rest(node_id to, peer& p) {
  const auto end = log_.last().lsn;
  for (bool goes_on = true; goes_on;) {
    const auto before = p.sent;
    send_append(to, p);
    goes_on = p.sent > before && p.sent < end && p.sent < p.appended + options_.window;
  }
}

void replica::send_appends() {
  for (auto& [node, p] : peers_) send_append(node, p);
}

void replica::on(const message& from, const append_ack& m) {
  if (stands_ != standing::primary || m.epoch != reign_) return;
  auto* found = peer_of(from.from);
  if (found == nullptr) return;
  auto& p = *found;
  const auto end = log_.last().lsn;
  const auto had = std::pair{p.appended, p.durable};
  p.appended = std::max(p.appended, std::min(m.appended_lsn, end));
  p.durable = std::max(p.durable, std::min(m.durable_lsn, end));
  if (p.sent < p.appended) p.sent = p.appended;
  if (m.granted) p.grant.take(*m.granted);
  p.acked_at = now_;
  const auto has = options_.level == ack_level::durable ? p.durable : p.appended;
  if (has >= end || had != std::pair{p.appended, p.durable}) p.progress_at = now_;
  advance();
  send_gathered();
  change_members();
  go_on_moving();
}

void replica::on(const message& from, const append_nack& m) {
  if (stands_ == standing::follower) return;
  if (m.max_epoch > std::max(reign_, max_epoch_)) {
    if (change_ && change_->settled_by_epoch(m.max_epoch)) change_.reset();
    step_down();
    ask_authority();
    return;
  }
  if (stands_ != standing::primary || m.max_epoch != reign_ || m.need_from == 0) return;
  auto* p = peer_of(from.from);
  if (p == nullptr) return;
  if (m.need_from <= log_.base().lsn && !options_.reads_log) {
    if (!known_.lists(from.from)) send(from.from.node, rebuild{reign_});
    return; // a member will be dropped first
  }
  p->sent = m.need_from - 1;
  send_append(from.from.node, *p);
}

/// What is known of the sender. R3: an older boot counts for nothing; a newer one that was not
/// heard of begins anew.
peer* replica::peer_of(member who) {
  const auto at = peers_.find(who.node);
  if (at == peers_.end()) return nullptr;
  auto& p = at->second;
  if (p.boot > who.boot && !planted(mistake::any_boot_counts)) return nullptr;
  if (p.boot < who.boot && !planted(mistake::any_boot_counts)) {
    p = {};
    p.boot = who.boot;
    p.sent = log_.last().lsn;
    p.progress_at = now_;
  }
  return &p;
}

// R3

lsn_t replica::held_by_all(bool synced) const {
  const auto own = synced ? log_.durable(wal_synced_) : log_.last().lsn;
  if (planted(mistake::ack_before_append)) return own;
  auto least = std::numeric_limits<lsn_t>::max();
  std::vector<member> room;
  for (const auto& m : ack_set(known_, change_, room)) {
    lsn_t has = 0;
    if (m == self_) {
      has = own;
    } else if (const auto at = peers_.find(m.node);
               at != peers_.end() &&
               (at->second.boot == m.boot || planted(mistake::any_boot_counts))) {
      has = synced ? at->second.durable : at->second.appended;
    }
    least = std::min(least, has);
  }
  return least;
}

/// Up to where a write of this level may be answered.
lsn_t replica::held_at(ack_level level) const {
  switch (level) {
  case ack_level::async:
    return log_.last().lsn;
  case ack_level::sync:
    return log_.durable(wal_synced_);
  case ack_level::replicated:
    return held_by_all(false);
  case ack_level::durable:
    return held_by_all(true);
  }
  return 0;
}

void replica::advance() {
  if (stands_ != standing::primary) return;
  const auto held = held_by_all(options_.level == ack_level::durable);
  commit_up_to(std::min(held, log_.last().lsn));
  if (commit_lsn_ >= no_op_lsn_) begin_serving();
  answer_waiting(held);
}

/// `held_at_own`: what held_at() says of the level that commits.
void replica::answer_waiting(lsn_t held_at_own) {
  for (std::size_t i = 0; i < writes_.size(); ++i) {
    auto& waiting = writes_[i];
    if (waiting.empty()) continue;
    const auto level = static_cast<ack_level>(i);
    const auto held = level == options_.level ? held_at_own : held_at(level);
    // They are logged, so they may not be refused any more: whether enough copies will have them is
    // open.
    const bool enough = level < ack_level::replicated || has_min_isr();
    for (; !waiting.empty() && waiting.front().lsn <= held; waiting.pop_front())
      act(action::answer{waiting.front().token, enough ? op_code::ok : op_code::outcome_unknown,
                         waiting.front().lsn});
  }
  if (reads_.empty()) return;
  std::erase_if(reads_, [&](const waiting_read& r) {
    if (r.depends_on > commit_lsn_) return false;
    act(action::answer{r.token, may_read(now_) ? op_code::ok : op_code::unavailable, 0});
    return true;
  });
}

bool replica::has_min_isr() const {
  const auto proposed = change_ ? change_->value.isr.size() : known_.isr.size();
  return std::min(known_.isr.size(), proposed) >= options_.min_isr;
}

op_code replica::may_write(std::size_t before) const {
  if (!serving_ || move_) return op_code::unavailable;
  if (!has_min_isr()) return op_code::no_replicas;
  if (log_.last().lsn + before + 1 - commit_lsn_ > options_.window &&
      !planted(mistake::window_ignored))
    return op_code::overloaded;
  return op_code::ok;
}

void replica::on(const event::client_writes& e) {
  const auto first = log_.last().lsn + 1;
  log_run_builder records{e.writes.size()};
  for (const auto& w : e.writes) {
    if (const auto why = may_write(records.size()); why != op_code::ok) {
      act(action::answer{w.token, why, 0});
      continue;
    }
    const auto lsn = first + records.size();
    records.add(lsn, reign_, false, w.body);
    records.keep(w.body.owner());
    writes_[static_cast<std::size_t>(w.level)].push_back({w.token, lsn});
  }
  if (records.empty()) return;
  const auto count = records.size();
  write_records(std::move(records).done());
  act(action::logged{first, count});
  send_logged();
}

void replica::send_logged() {
  if (waits_for(ack_level::sync) || waits_for(ack_level::durable)) act(action::sync_wal{});
  send_gathered();
  advance();
}

/// While an Append is under way what comes meanwhile gathers, and its Ack sends all of that. To the
/// members together, as nothing is committed before the slowest of them has it: so each gets it in
/// fewer pieces. One that has been silent for a while is not waited for. An Append or Ack that is
/// lost holds it up until the next heartbeat.
void replica::send_gathered() {
  const auto end = log_.last().lsn;
  const bool members_busy = std::ranges::any_of(peers_, [&](const auto& at) {
    const auto& [node, p] = at;
    return p.sent > p.appended && now_ - p.acked_at < options_.resend &&
           known_.lists({node, p.boot});
  });
  together_.emplace();
  for (auto& [node, p] : peers_)
    if (p.sent < end && p.sent <= p.appended && (!members_busy || !known_.lists({node, p.boot})))
      send_rest(node, p);
  together_.reset();
}

// R7: the clock is looked at after the value was read.

void replica::on(const event::client_read& e) {
  if (!serving_ || reads_stopped_) return act(action::answer{e.token, op_code::unavailable, 0});
  reads_.push_back({e.token, e.depends_on});
  advance();
}

bool replica::may_read(moment now) const {
  if (!serving_ || reads_stopped_) return false;
  if (planted(mistake::lease_not_checked)) return true;
  std::vector<member> room;
  return std::ranges::all_of(lease_set(known_, change_, room), [&](const member& m) {
    if (m == self_) return true;
    const auto at = peers_.find(m.node);
    return at != peers_.end() && at->second.boot == m.boot &&
           at->second.grant.is_valid(now, options_.lease);
  });
}

} // namespace warp::cluster::replication
