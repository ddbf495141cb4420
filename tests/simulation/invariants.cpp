#include "tests/simulation/invariants.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <iterator>
#include <utility>

namespace warp::testing {

using namespace cluster::replication;

std::string invariants::name(member m) {
  return fmt::format("{}.{}", m.node.value, m.boot.value);
}

void invariants::broken(std::string what) {
  if (violation_.empty()) violation_ = std::move(what);
}

const invariants::truth* invariants::find(const world& in, lsn_t lsn) {
  const auto found = std::ranges::lower_bound(in, lsn, {}, &truth::lsn);
  return found == in.end() || found->lsn != lsn ? nullptr : &*found;
}

const invariants::truth* invariants::before_a_loss(lsn_t lsn, std::uint64_t hash) const {
  for (const auto& w : past_)
    if (const auto* t = find(w, lsn); t != nullptr && t->hash == hash) return t;
  return nullptr;
}

void invariants::add(truth what) {
  if (what.effect) {
    const auto& e = *what.effect;
    if (!requests_.insert({e.client, e.number}).second)
      broken(fmt::format("I13: request {} of client {} has two effects, the second at LSN {}",
                         e.number, e.client, what.lsn));
    reference_.commit(what.lsn, e);
  }
  what.table_hash = reference_.hash();
  log_.push_back(std::move(what));
}

/// The one that was named has the end of some truth: of the present one, or of an older one, if it
/// was away when that was given up.
void invariants::loss_accepted() {
  const auto& who = etcd_.value().primary;
  const auto& n = nodes_[who.node.value];
  replica_log log;
  if (n.machine != nullptr && n.machine->self() == who) {
    log = n.machine->log();
  } else { // it has ended since it asked; all it had was on disk
    const auto& image = n.disk->on_disk();
    log = replica_log{image.base->end};
    for (const auto& r : image.records) log.append({r}, 0);
  }
  past_.push_back(std::exchange(log_, {}));
  const world* of = nullptr;
  std::size_t kept = 0;
  for (const auto& w : past_)
    for (auto i = w.size(); i != 0 && w[i - 1].lsn >= log.base().lsn; --i) {
      const auto here = log.at_or_below(w[i - 1].lsn);
      if (here.lsn != w[i - 1].lsn || here.hash != w[i - 1].hash) continue;
      if (of == nullptr || w[i - 1].lsn > (*of)[kept - 1].lsn) of = &w, kept = i;
      break;
    }
  if (of == nullptr && log.base().lsn != 0)
    broken(fmt::format("R11: {} was named to be the truth, and never was", name(who)));
  const auto was = std::exchange(requests_, {});
  reference_ = {};
  if (of != nullptr) {
    const world prefix(of->begin(), of->begin() + static_cast<std::ptrdiff_t>(kept));
    for (const auto& t : prefix) add(t);
  }
  loss l{.requests = {}, .table = reference_};
  std::ranges::set_difference(was, requests_, std::inserter(l.requests, l.requests.end()));
  losses_.push_back(std::move(l));
  if (on_loss_) on_loss_();
}

bool invariants::on_disk(std::size_t node, const truth& t) const {
  return nodes_[node].disk->on_disk().has(t.lsn, t.epoch);
}

void invariants::authority_changed() {
  const auto& now = etcd_.value();
  if (now.epoch != last_epoch_ + 1 && last_epoch_ != 0)
    broken(fmt::format("I1: epoch {} follows {} in etcd", now.epoch, last_epoch_));
  last_epoch_ = now.epoch;
  primaries_[now.epoch] = now.primary;
  if (!now.lists(now.primary)) broken("I1: the primary is not in its own in-sync set");
  if (now.reset_epoch > reset_epoch_) {
    if (now.reset_epoch != now.epoch || now.isr != std::vector{now.primary})
      broken("R11: a loss is accepted for more than one copy");
    reset_epoch_ = now.reset_epoch;
    loss_accepted();
  }
  if (now.reset_epoch < reset_epoch_) broken("R11: the key forgets that a loss was accepted");
  check_members("after the key has changed");
}

void invariants::sent(std::size_t node, epoch_t epoch) {
  const auto fence = nodes_[node].disk->on_disk().max_epoch;
  if (epoch != fence)
    broken(
        fmt::format("I2: node {} says something in epoch {} while {} is the max_epoch on its disk",
                    node, epoch, fence));
}

void invariants::logged(std::size_t node, const log_record& record) {
  const auto here = nodes_[node].machine->log().at_or_below(record.lsn);
  if (here.lsn != record.lsn) return; // cut off again in the same step
  const auto [at, first] = hashes_.try_emplace({record.lsn, record.epoch}, here.hash);
  if (!first && at->second != here.hash)
    broken(fmt::format("I6: node {} has other bytes, or another past, at LSN {} of epoch {}", node,
                       record.lsn, record.epoch));
}

void invariants::reigns(std::size_t node) {
  const auto& machine = *nodes_[node].machine;
  const auto who = primaries_.find(machine.reign());
  if (who == primaries_.end() || who->second != machine.self())
    broken(fmt::format("I1: {} reigns in epoch {}, which etcd never gave it", name(machine.self()),
                       machine.reign()));
  // What a later primary has committed is no concern of one that begins late and in vain.
  const auto earlier = std::ranges::find_if(log_.rbegin(), log_.rend(),
                                            [&](const truth& t) { return t.by < machine.reign(); });
  if (earlier != log_.rend() && !machine.log().matches(earlier->lsn, earlier->epoch) &&
      machine.log().base().lsn < earlier->lsn)
    broken(fmt::format("I5: the new primary {} of epoch {} lacks the committed LSN {}",
                       name(machine.self()), machine.reign(), earlier->lsn));
}

void invariants::committed(std::size_t node, lsn_t lsn, bool primary) {
  const auto& machine = *nodes_[node].machine;
  auto& before = commits_[machine.self()];
  if (lsn < before)
    broken(fmt::format("I7: the commit_lsn of {} goes back from {} to {}", name(machine.self()),
                       before, lsn));
  before = std::max(before, lsn);
  const auto known = log_.empty() ? 0 : log_.back().lsn;
  const auto here = machine.log().at_or_below(lsn).hash;
  if (lsn > known) {
    if (!primary) {
      if (machine.max_epoch() < reset_epoch_ && before_a_loss(lsn, here) != nullptr) return;
      broken(fmt::format("I4: node {} applies LSN {}, and only {} is committed", node, lsn, known));
      return;
    }
    if (known != 0 && machine.log().at_or_below(known).hash != log_.back().hash) {
      broken(fmt::format("I6: the primary {} commits LSN {} over another LSN {} than the committed",
                         name(machine.self()), lsn, known));
      return;
    }
    for (const auto& r : machine.log().behind(known, machine.log().size())) {
      if (r.lsn > lsn) break;
      add({r.lsn, r.epoch, machine.log().at_or_below(r.lsn).hash, 0, machine.reign(),
           r.no_op ? std::nullopt : std::optional{model_effect::decode(r.body)}});
    }
    check_members("after a commit");
    return;
  }
  const auto* t = at(lsn);
  if (t != nullptr && here == t->hash) return;
  if (machine.max_epoch() >= reset_epoch_ || before_a_loss(lsn, here) == nullptr)
    broken(fmt::format("I6: node {} has another committed record at LSN {}", node, lsn));
}

void invariants::applied(std::size_t node, lsn_t lsn) {
  if (lsn == 0) return;
  const auto hash = nodes_[node].machine->log().at_or_below(lsn).hash;
  const auto* t = at(lsn);
  // A copy that has not heard of a loss yet is allowed to be what it was: nobody reads from it.
  if (t == nullptr || t->hash != hash) t = before_a_loss(lsn, hash);
  if (t == nullptr || nodes_[node].table->hash() != t->table_hash)
    broken(
        fmt::format("I10: the table of node {} is not what the log up to LSN {} makes", node, lsn));
}

void invariants::installed(std::size_t node, epoch_t epoch) {
  if (nodes_[node].machine->max_epoch() < epoch)
    broken(fmt::format("I2: node {} has a checkpoint of epoch {} and would listen to epoch {}",
                       node, epoch, nodes_[node].machine->max_epoch()));
}

void invariants::acknowledged(lsn_t lsn) {
  const auto* t = at(lsn);
  if (t == nullptr) {
    broken(fmt::format("I3: LSN {} is acknowledged and not committed", lsn));
    return;
  }
  if (options_.level != ack_level::durable) return;
  std::size_t copies = 0;
  for (std::size_t i = 0; i < nodes_.size(); ++i) copies += on_disk(i, *t) ? 1 : 0;
  if (copies < options_.min_isr)
    broken(fmt::format("I3: LSN {} is acknowledged and on {} disks only", lsn, copies));
  for (const auto& m : etcd_.value().isr)
    if (!nodes_[m.node.value].disk->on_disk().incomplete && !on_disk(m.node.value, *t))
      broken(
          fmt::format("I3: LSN {} is acknowledged and not on the disk of member {}", lsn, name(m)));
}

void invariants::bounded(std::size_t node) {
  const auto& n = nodes_[node];
  if (n.machine == nullptr) return;
  if (n.table->pending() > options_.window)
    broken(fmt::format("I12: node {} would have to undo {} writes, with a window of {}", node,
                       n.table->pending(), options_.window));
  const auto& log = n.machine->log();
  const auto above = log.behind(n.machine->commit_lsn(), log.size());
  const auto open = static_cast<std::size_t>(std::ranges::count(above, false, &log_record::no_op));
  // A batch stands in the write-ahead log before the word that it is committed, and may be cut off
  // from that by a crash.
  if (open > options_.window + options_.batch_max)
    broken(fmt::format("I12: node {} has {} records in flight, with a window of {}", node, open,
                       options_.window));
}

/// What is pinned for one that takes a checkpoint; what is in flight; what members lacked when one
/// of them began anew, which stops the rest; and what comes between two looks.
void invariants::kept(std::size_t node, std::size_t records) {
  if (records > options_.pin_max + 3 * options_.window + 64)
    broken(fmt::format("I12: node {} keeps {} records in memory, with {} to be pinned at most",
                       node, records, options_.pin_max));
}

/// I4, and what a claim of an old seat stands on: a listed node that has crashed has everything
/// too. A copy that an operator has cut makes no claim, until a loss was accepted for it or a
/// primary has added it anew: then it is a member like others.
void invariants::check_members(const char* when) {
  if (log_.empty()) return;
  const auto& last = log_.back();
  for (const auto& m : etcd_.value().isr) {
    const auto& n = nodes_[m.node.value];
    const bool lives = n.machine != nullptr && n.machine->self() == m;
    bool has = true;
    if (lives)
      has =
          n.machine->log().base().lsn >= last.lsn || n.machine->log().matches(last.lsn, last.epoch);
    else if (const auto& disk = n.disk->on_disk();
             options_.level == ack_level::durable && !disk.incomplete && !disk.repaired)
      has = on_disk(m.node.value, last);
    if (!has)
      broken(fmt::format("I4: {}, member {}{} lacks the committed LSN {} of epoch {}", when,
                         name(m), lives ? "" : ", which does not run,", last.lsn, last.epoch));
  }
}

void invariants::restarted(std::size_t node) {
  check_members("after a restart");
  if (nodes_[node].machine != nullptr && !nodes_[node].disk->on_disk().incomplete) {
    const auto lsn = nodes_[node].machine->commit_lsn();
    applied(node, lsn); // I9: nothing torn, nothing invented below what it knows to be committed
  }
}

} // namespace warp::testing
