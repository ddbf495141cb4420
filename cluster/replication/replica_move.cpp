#include "cluster/replication/planted.hpp"
#include "cluster/replication/replica.hpp"

#include <utility>

namespace warp::cluster::replication {

// R12: pause writes, wait until the target has everything, stop reads, and only then hand over.

void replica::on(const event::move_requested& e) {
  if (!serving_ || move_ || change_ || e.target == self_.node) return;
  const auto at = peers_.find(e.target);
  if (at == peers_.end() || !known_.lists({e.target, at->second.boot})) return;
  move_ = {e.target, e.leave, now_};
  go_on_moving();
}

void replica::go_on_moving() {
  if (!move_ || change_) return;
  if (now_ - move_->began > options_.move_timeout) {
    move_.reset();
    return;
  }
  const auto at = peers_.find(move_->target);
  if (at == peers_.end() || known_.epoch != reign_) return;
  const member target{move_->target, at->second.boot};
  const auto end = log_.last().lsn;
  const auto has = options_.level == ack_level::durable ? at->second.durable : at->second.appended;
  if (!known_.lists(target) || has < end || commit_lsn_ < end) return;
  // The target needs no promise to have passed: so no lease may be used from here on.
  if (!planted(mistake::hand_over_reads)) reads_stopped_ = true;
  auto next = known_;
  next.primary = target;
  if (move_->leave) drop(next, self_);
  propose(authority_change::purpose::hand_over, std::move(next));
}

} // namespace warp::cluster::replication
