#include "cluster/replication/planted.hpp"
#include "cluster/replication/replica.hpp"

#include <algorithm>
#include <utility>

namespace warp::cluster::replication {

namespace {

/// R5: who does not is dropped, and may not join either.
bool gets_on(const peer& p, moment now, const replication_options& options) {
  return now - p.progress_at <= options.member_timeout;
}

} // namespace

/// Twice as long for each time without an answer, up to four times: what etcd cannot do in time it
/// will not do sooner if everybody asks again.
moment replica::patience(unsigned unanswered) const {
  return options_.authority_timeout << std::min(unanswered, 2u);
}

void replica::ask_authority() {
  if (read_asked_at_) ++reads_unanswered_;
  read_asked_at_ = now_;
  act(action::read_authority{});
}

// R4: recorded before it is sent, made again with the same compare until the key has moved.

void replica::propose(authority_change::purpose why, authority value) {
  value.epoch = known_.epoch + 1;
  change_ = {why, known_revision_, known_.epoch, std::move(value), now_, 1};
  act(action::compare_and_set{change_->compared_revision, change_->value});
}

void replica::retry_change() {
  if (!change_) return;
  // A hand-over keeps clients waiting (R12).
  const bool waits = change_->why == authority_change::purpose::hand_over;
  if (now_ - change_->sent_at < patience(waits ? 0 : change_->tries - 1)) return;
  ++change_->tries;
  change_->sent_at = now_;
  // A hand-over that does not get through is given up by a change that changes nothing (R12).
  if (change_->why == authority_change::purpose::hand_over && change_->tries >= 4) {
    change_->value = known_;
    ++change_->value.epoch;
  }
  act(action::compare_and_set{change_->compared_revision, change_->value});
  ask_authority();
}

void replica::on(const event::compare_failed& e) {
  if (planted(mistake::failed_compare_settles) && change_ &&
      change_->compared_revision == e.compared_revision) {
    change_.reset();
    move_.reset();
    reads_stopped_ = false;
    advance();
  }
  read_wanted_ = true;
  ask_authority();
}

void replica::on(const event::authority_read& e) {
  read_asked_at_.reset();
  reads_unanswered_ = 0;
  read_wanted_ = false;
  known_at_ = now_;
  if (e.revision <= known_revision_) {
    if (planted(mistake::read_settles) && change_ && e.revision == change_->compared_revision &&
        now_ > change_->sent_at) {
      change_.reset();
      move_.reset();
      reads_stopped_ = false;
      advance();
    }
    return;
  }
  known_ = e.value;
  known_revision_ = e.revision;
  if (change_ && change_->settled_by_revision(e.revision)) {
    const auto settled = std::exchange(change_, {});
    if (settled->why == authority_change::purpose::hand_over) {
      if (known_.primary != self_) send(known_.primary.node, release{known_.epoch});
      move_.reset();
      reads_stopped_ = false; // by the role, if it was lost
    }
    if (settled->why == authority_change::purpose::accept_loss && known_.primary == self_)
      act(action::loss_accepted{known_.reset_epoch});
  }
  obey_authority();
}

void replica::obey_authority() {
  std::erase_if(peers_, [&](const auto& entry) { return !known_.knows(entry.first); });
  const bool mine = known_.primary == self_;
  // R10. It may hear of its seat with the news that it is primary already (R12).
  if ((incomplete_ || repaired_) && rebuilding_ == rebuilding::no && is_member()) {
    incomplete_ = repaired_ = false;
    write(wal::complete{});
  }
  if (stands_ != standing::follower) {
    if (!mine) {
      if (known_.epoch > reign_) step_down();
      return;
    }
    raise_fence(known_.epoch); // the reign goes on in the new epoch when that is on disk
    advance();
    return;
  }
  if (mine && known_.epoch >= max_epoch_ && rebuilding_ == rebuilding::no) {
    stands_ = standing::fencing;
    raise_fence(known_.epoch);
    if (fenced()) begin_reign();
    return;
  }
  promise_.raise(now_, options_.promise()); // the new primary gets the time to say so
}

// R5, R4: only the primary changes the members of its epoch, one change at a time.

void replica::change_members() {
  if (stands_ != standing::primary || change_ || move_ || known_.epoch != reign_ || !fenced())
    return;
  const auto stays = [&](const member& m) {
    const auto at = peers_.find(m.node);
    return m == self_ ||
           (at != peers_.end() && at->second.boot == m.boot && gets_on(at->second, now_, options_));
  };
  const auto joins = std::ranges::find_if(peers_, [&](const auto& entry) {
    return known_.has_learner(entry.first) && may_join(entry.second);
  });
  // As after nearly every Ack.
  if (joins == peers_.end() && is_as_wanted() && std::ranges::all_of(known_.isr, stays)) return;
  auto next = known_;
  for (const auto& m : known_.isr)
    if (!stays(m)) drop(next, m);
  if (next == known_) {
    if (joins != peers_.end()) {
      next.isr.push_back({joins->first, joins->second.boot});
      std::erase(next.learners, joins->first);
    } else {
      place(next);
    }
  }
  if (next == known_) return;
  propose(authority_change::purpose::members, std::move(next));
  advance();
}

/// Is nobody listed who is not wanted, and does everybody who is have a seat?
bool replica::is_as_wanted() const {
  if (!wanted_) return true;
  return std::ranges::all_of(known_.isr, [&](const member& m) { return is_wanted(m.node); }) &&
         std::ranges::all_of(known_.learners, [&](node_id n) { return is_wanted(n); }) &&
         std::ranges::all_of(*wanted_, [&](node_id n) { return known_.boot_of(n).has_value(); });
}

bool replica::is_wanted(node_id node) const {
  return !wanted_ || std::ranges::find(*wanted_, node) != wanted_->end();
}

void replica::drop(authority& from, member who) const {
  std::erase(from.isr, who);
  if (is_wanted(who.node) && !from.has_learner(who.node)) from.learners.push_back(who.node);
}

void replica::on(const event::node_gone& e) {
  const auto at = peers_.find(e.node);
  if (stands_ != standing::primary || at == peers_.end()) return;
  at->second.progress_at = now_ - options_.member_timeout - 1;
  change_members();
}

void replica::on(const event::min_isr_wanted& e) {
  options_.min_isr = e.count;
  advance(); // what waits for it
}

void replica::on(const event::members_wanted& e) {
  wanted_ = e.nodes;
  change_members();
}

/// Who is wanted may join; who is not leaves when all who are have their seats, the primary last.
void replica::place(authority& next) {
  if (!wanted_) return;
  std::erase_if(next.learners, [&](node_id n) { return !is_wanted(n); });
  for (const auto n : *wanted_)
    if (!next.knows(n)) next.learners.push_back(n);
  if (next != known_ ||
      !std::ranges::all_of(*wanted_, [&](node_id n) { return known_.boot_of(n).has_value(); }))
    return;
  const auto superfluous = std::ranges::find_if(
      known_.isr, [&](const member& m) { return m != self_ && !is_wanted(m.node); });
  if (superfluous != known_.isr.end())
    drop(next, *superfluous);
  else if (!is_wanted(self_.node) && !wanted_->empty() && serving_)
    move_ = {readiest(), true, now_}; // go_on_moving() does the rest
}

/// It has everything that may be committed, on disk at level durable: up to commit_lsn, and as long
/// as that may be behind what earlier primaries committed, up to the no-op. And it would stay: one
/// that was just dropped may have all of that, and a grant that is still valid.
bool replica::may_join(const peer& p) const {
  const bool synced = options_.level == ack_level::durable && !planted(mistake::add_on_appended);
  const auto has = synced ? p.durable : p.appended;
  return gets_on(p, now_, options_) && has >= std::max(commit_lsn_, no_op_lsn_) &&
         p.grant.is_valid(now_, options_.lease);
}

// R6

void replica::try_take_over() {
  if (change_ || rebuilding_ != rebuilding::no || known_.epoch == 0 || known_.epoch < max_epoch_ ||
      known_.primary == self_)
    return;
  const auto place = std::ranges::find(known_.isr, self_);
  if (place == known_.isr.end() && !planted(mistake::outsider_takes_over)) return;
  auto since = promise_.until();
  if (planted(mistake::no_promise)) since = heard_at_ + options_.heartbeat * 2;
  if (now_ < since) return;
  const auto rank =
      std::count_if(known_.isr.begin(), place, [&](const auto& m) { return m != known_.primary; });
  auto wait = rank * options_.rank_delay;
  // If the old one still lives it should drop this member first, rather than both at once.
  if (std::ranges::find(live_nodes_, known_.primary) != live_nodes_.end())
    wait += options_.member_timeout;
  if (now_ - since < wait) return;
  auto next = known_;
  next.primary = self_;
  drop(next, known_.primary);
  if (!next.lists(self_)) next.isr.push_back(self_);
  propose(authority_change::purpose::take_over, std::move(next));
}

// R11: nobody that is listed lives, and no ack set that holds the old boot can complete. What the
// old boot acknowledged has to be here: that of a repaired copy may be gone.

void replica::try_claim() {
  if (change_ || incomplete_ || repaired_ || rebuilding_ != rebuilding::no || known_.epoch == 0 ||
      known_.epoch < max_epoch_ || !promise_.has_passed(now_) || !nodes_known_)
    return;
  const auto seat = known_.boot_of(self_.node);
  if (!seat || *seat >= self_.boot) return;
  // Whose data folder was made anew has nothing of what that boot had.
  const bool kept = options_.level == ack_level::durable && stopped_boot_ != never_lived;
  const bool all_on_disk = kept || stopped_boot_ == *seat || planted(mistake::claim_at_replicated);
  if (!all_on_disk) return;
  for (const auto& m : live_nodes_)
    if (known_.lists(m)) return;
  if (somebody_has_more()) return;
  propose(authority_change::purpose::take_over, alone());
}

/// Who of those that are wanted has the most: writes pause for the shortest time.
node_id replica::readiest() const {
  return *std::ranges::max_element(*wanted_, {}, [&](node_id n) {
    const auto at = peers_.find(n);
    return at == peers_.end() ? lsn_t{0} : at->second.durable;
  });
}

/// This copy as the only member.
authority replica::alone() const {
  auto next = known_;
  next.primary = self_;
  for (const auto& m : known_.isr) drop(next, m);
  next.isr = {self_};
  std::erase(next.learners, self_.node);
  return next;
}

void replica::on(const event::accept_loss&) {
  const auto refuse = [&](std::string why) { act(action::loss_refused{std::move(why)}); };
  if (stands_ != standing::follower) return refuse("this copy serves");
  if (incomplete_ || rebuilding_ != rebuilding::no)
    return refuse("this copy is not whole: repair it first, or name another");
  if (known_.epoch == 0 || known_.epoch < max_epoch_ || !nodes_known_)
    return refuse("etcd has not said yet who may serve: try again");
  if (change_) return refuse("a change of the key is under way: try again");
  // A lease of it may have no end (R7), and what it has acknowledged is not lost at all.
  for (const auto& m : live_nodes_)
    if (known_.lists(m))
      return refuse("node " + std::to_string(m.node.value) +
                    " lives and has a seat: nothing is lost yet");
  if (!promise_.has_passed(now_))
    return refuse("a lease that was granted may still run: try again");
  if (log_.durable(wal_synced_) < log_.last().lsn)
    return refuse("the end of the log is not on disk yet: try again");
  auto next = alone();
  next.reset_epoch = known_.epoch + 1;
  propose(authority_change::purpose::accept_loss, std::move(next));
}

/// R11: the longest log goes first, of those that may go at all.
bool replica::somebody_has_more() const {
  const auto own = log_.last();
  return std::ranges::any_of(others_, [&](const auto& entry) {
    const auto& [hello, at] = entry.second;
    return !hello.incomplete && known_.boot_of(entry.first) &&
           now_ - at < options_.member_timeout &&
           std::pair{hello.last_epoch, hello.last_lsn} > std::pair{own.epoch, own.lsn};
  });
}

} // namespace warp::cluster::replication
