// How one copy begins and ends, and how its machine is driven.

#include "cluster/replication_host.hpp"

#include "cluster/turn_scratch.hpp"
#include "storage/log_record.hpp"

#include <fmt/format.h>
#include <new>
#include <variant>

namespace warp::cluster {

using namespace replication;

namespace {

/// Boots of one start of a node: the first, and one for each checkpoint that is installed.
constexpr unsigned boots_of_a_start_bits = 20;

storage::file_system& files_of(const storage::engine& engine) {
  auto* files = engine.options().files;
  return files ? *files : storage::posix_file_system();
}

} // namespace

replication_host::replication_host(storage::engine& engine, shard_id shard,
                                   replication_host_options options,
                                   replication_surroundings& around)
    : engine_(engine), files_(files_of(engine)), id_(shard), options_(options), around_(around),
      tickets_(options.tickets), own_from_(no_tickets) {}

op_result<std::unique_ptr<replication_host>>
replication_host::open(storage::engine& engine, shard_id shard, node_id self,
                       replication_host_options options, replication_surroundings& around) {
  if (!engine.options().replicated || shard.value >= engine.shard_count())
    return op_status{op_code::invalid_argument,
                     fmt::format("shard {} is none of a replicated universe", shard.value)};
  options.machine.reads_log = true;
  auto host =
      std::unique_ptr<replication_host>{new replication_host{engine, shard, options, around}};
  try {
    if (auto status = host->recover(self); !status.ok()) return status;
  } catch (const std::bad_alloc&) {
    return op_status{op_code::no_space, "no memory for the log that is not committed"};
  }
  return host;
}

op_status replication_host::recover(node_id self) {
  auto marks = read_marks(files_, engine_.options().folder, id_);
  if (!marks) return marks.status();
  marks_ = *marks;
  shard_ = engine_.replicate(id_);
  recovered_copy found;
  found.max_epoch = shard_->found().max_epoch;
  found.incomplete = marks_.incomplete;
  found.stopped_boot = marks_.stopped_boot;
  if (auto status = read_tail(found); !status.ok()) return status;
  if (found.stopped_boot == boot_id{} && found.max_epoch == 0 && found.log.last().lsn == 0)
    found.stopped_boot = never_lived;
  // What this life leaves behind is not what that mark speaks of.
  if (marks_.stopped_boot != boot_id{}) {
    marks_.stopped_boot = {};
    if (auto status = write_marks(files_, engine_.options().folder, id_, marks_); !status.ok())
      return status;
  }
  boot_ = options_.first_boot != 0 ? options_.first_boot
                                   : engine_.start_number() << boots_of_a_start_bits;
  machine_ = std::make_unique<replica>(options_.machine, member{self, boot_id{boot_}},
                                       std::move(found), around_.now());
  return {};
}

/// The table holds what is known to be committed; the hash up to there and what lies above are in
/// the log.
op_status replication_host::read_tail(recovered_copy& found) {
  floor_ = shard_->found().applied;
  log_position at{floor_.lsn, floor_.epoch, floor_.hash};
  found.log = replica_log{at};
  found.commit_lsn = at.lsn;
  if (found.incomplete) return {}; // of no use
  const auto commit = shard_->found().commit, last = shard_->found().last;
  const auto cursor = engine_.read_log(id_, at.lsn);
  while (at.lsn < last) {
    auto frame = cursor->next(last);
    if (!frame) return frame.status();
    if (!*frame) break;
    auto bytes = (*frame)->records;
    lsn_t lsn = (*frame)->header.first - 1;
    storage::log_record record;
    while (!bytes.empty()) {
      if (!storage::decode_record(bytes, lsn, record))
        return {op_code::corruption,
                fmt::format("shard {}: the frame from LSN {} holds a malformed record", id_.value,
                            (*frame)->header.first)};
      if (record.op == storage::log_op::parts || lsn <= at.lsn || lsn > (*frame)->keep) continue;
      log_record one{lsn, (*frame)->header.epoch, record.op == storage::log_op::nothing,
                     storage::body_of(record)};
      at = {lsn, one.epoch, hash_on(at.hash, one)};
      if (lsn <= commit) {
        found.log = replica_log{at};
        found.commit_lsn = lsn;
        continue;
      }
      pending_bytes_ += one.body.size() + record_overhead;
      found.log.append({std::move(one)}, 0);
    }
  }
  const auto committed = found.log.base();
  shard_->resume({committed.lsn, committed.epoch, committed.hash});
  return {};
}

void replication_host::stop() {
  if (halted_) return;
  shard_->note_commit(shard_->applied().lsn, true);
  halted_ = stopped_ = true;
  events_.clear();
  resolved_ |= tickets_.fail_open();
}

op_status replication_host::mark_stopped() {
  if (!stopped_)
    return {op_code::invalid_argument,
            fmt::format("shard {}: this copy did not stop, it halted", id_.value)};
  marks_.stopped_boot = machine_->self().boot;
  return write_marks(files_, engine_.options().folder, id_, marks_);
}

void replication_host::halt(op_status why) {
  if (std::exchange(halted_, true)) return;
  events_.clear();
  resolved_ |= tickets_.fail_open();
  around_.halted(why);
}

replication_host_stats replication_host::stats() const {
  auto now = stats_;
  now.held_records = machine_->log().size();
  now.held_bytes = held_bytes();
  now.pending_bytes = pending_bytes_;
  return now;
}

// Events and actions

void replication_host::handle(replica_event what) {
  if (halted_ || !takes(what)) return;
  feed(std::move(what));
}

/// Whether the log has room for what a primary sends, and whether it is what it should be; what is
/// lost is sent again.
bool replication_host::takes(const replica_event& what) {
  const auto* received = std::get_if<event::received>(&what);
  const auto* m = received ? std::get_if<append>(&received->what.body) : nullptr;
  if (!m || m->records.empty()) return true;
  if (!shard_->has_room()) {
    ++stats_.appends_dropped;
    return false;
  }
  storage::log_record record;
  for (std::size_t i = 0; i < m->records.size(); ++i) {
    const auto lsn = m->records.lsn_at(i);
    const auto body = m->records.body_at(i);
    if (m->records.no_op_at(i) != body.empty() || lsn == 0 || lsn > lsn_max ||
        !(storage::is_plain_put(body) || storage::decode_body(lsn, body, record))) {
      ++stats_.records_refused;
      return false;
    }
  }
  return true;
}

void replication_host::on_round() {
  if (!halted_) drain();
}

void replication_host::feed(replica_event&& what) {
  try {
    if (events_.empty())
      step(what);
    else
      events_.push_back(std::move(what));
  } catch (const std::bad_alloc&) {
    return halt_for_memory();
  }
  drain();
}

void replication_host::step(const replica_event& what) {
  auto& actions = turn_scratch::of_this_thread().actions;
  machine_->step(what, around_.now(), actions);
  for (auto& a : actions) {
    if (halted_) break;
    std::visit([this](auto& did) { on(did); }, a);
  }
  actions.clear(); // what they hold goes with its host
}

/// Hands the machine all there is to tell it, without a look at the disk.
void replication_host::step_machine() {
  while (!events_.empty() && !halted_) {
    const auto e = std::move(events_.front());
    events_.pop_front();
    step(e);
  }
}

void replication_host::drain() {
  try {
    while (!halted_) {
      step_machine();
      if (halted_) return;
      const auto synced = look_at_disk();
      if (halted_) return;
      if (synced != 0) step(event::wal_synced{synced});
      forget_old();
      if (events_.empty() && synced == 0) return;
    }
  } catch (const std::bad_alloc&) {
    halt_for_memory();
  }
}

void replication_host::halt_for_memory() {
  halt({op_code::no_space, fmt::format("shard {}: no memory to replicate it", id_.value)});
}

void replication_host::on(action::send& a) {
  around_.send(a.to, std::move(a.what));
}
void replication_host::on(const action::sync_wal&) {
  shard_->request_sync();
}
void replication_host::on(const action::read_authority&) {
  around_.read_authority();
}
void replication_host::on(const action::compare_and_set& a) {
  around_.compare_and_set(a.compared_revision, a.value);
}
void replication_host::on(const action::undo_pending&) {
  shard_->undo(); // what is pending is all above the commit point
}
void replication_host::on(const action::serving& a) {
  around_.serving(a.begins, a.epoch);
}
void replication_host::on(const action::draw_boot&) {
  events_.push_back(event::boot_drawn{boot_id{++boot_}});
}
void replication_host::on(const action::offer_checkpoint& a) {
  around_.offer_checkpoint(a.to, a.max_epoch);
}
void replication_host::on(const action::loss_accepted&) {
  around_.loss_decided({});
}
void replication_host::on(const action::loss_refused& a) {
  around_.loss_decided({op_code::unavailable, fmt::format("shard {}: {}", id_.value, a.why)});
}
void replication_host::on(const action::checkpoint_outdated&) {
  around_.checkpoint_outdated();
}
void replication_host::on(const action::broken_rule& a) {
  halt({op_code::corruption,
        fmt::format("shard {}: {}; everything is kept for a look", id_.value, a.what)});
}

} // namespace warp::cluster
