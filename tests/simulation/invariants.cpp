#include "tests/simulation/invariants.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace warp::testing {

using namespace cluster::replication;

std::string invariants::name(member m) {
  return fmt::format("{}.{}", m.node.value, m.boot.value);
}

void invariants::broken(std::string what) {
  if (violation_.empty()) violation_ = std::move(what);
}

const invariants::truth* invariants::at(lsn_t lsn) const {
  const auto found = std::ranges::lower_bound(log_, lsn, {}, &truth::lsn);
  return found == log_.end() || found->lsn != lsn ? nullptr : &*found;
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
  if (lsn > known) {
    if (!primary) {
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
      if (!r.no_op) {
        const auto effect = model_effect::decode(r.body);
        if (!requests_.insert({effect.client, effect.number}).second)
          broken(fmt::format("I13: request {} of client {} has two effects, the second at LSN {}",
                             effect.number, effect.client, r.lsn));
        reference_.commit(r.lsn, effect);
      }
      log_.push_back({r.lsn, r.epoch, machine.log().at_or_below(r.lsn).hash, reference_.hash(),
                      machine.reign()});
    }
    check_members("after a commit");
    return;
  }
  if (const auto* t = at(lsn); t == nullptr || machine.log().at_or_below(lsn).hash != t->hash)
    broken(fmt::format("I6: node {} has another committed record at LSN {}", node, lsn));
}

void invariants::applied(std::size_t node, lsn_t lsn) {
  const auto* t = at(lsn);
  if (t == nullptr ? lsn != 0 : nodes_[node].table->hash() != t->table_hash)
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

/// I4, and what a claim of an old seat stands on: a listed node that has crashed has everything
/// too.
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
    else if (options_.level == ack_level::durable && !n.disk->on_disk().incomplete)
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
