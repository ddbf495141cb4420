#include "cluster/replication_host.hpp"

#include "storage/checkpoint_reader.hpp"
#include "storage/log_record.hpp"

#include <algorithm>
#include <fmt/format.h>
#include <new>
#include <variant>

namespace warp::cluster {

using namespace replication;
using storage::applied_place;
using storage::op_reply;
using storage::value_arena;

namespace {

/// Boots of one start of a node: the first, and one for each checkpoint that is installed.
constexpr unsigned boots_of_a_start_bits = 20;
/// Of a record in memory, beside its body.
constexpr std::size_t record_overhead = 96;
/// A write that nobody waits for has this in a ticket's place.
constexpr std::uint64_t no_ticket = 0;
constexpr auto no_tickets = ~std::uint64_t{0};

ack_level level_of(durability asked, ack_level usual) {
  switch (asked) {
  case durability::unspecified:
    return usual;
  case durability::memory:
  case durability::async:
    return ack_level::async;
  case durability::sync:
    return ack_level::sync;
  case durability::replicated:
    return ack_level::replicated;
  case durability::durable:
    return ack_level::durable;
  }
  return usual;
}

storage::file_system& files_of(const storage::engine& engine) {
  auto* files = engine.options().files;
  return files ? *files : storage::posix_file_system();
}

} // namespace

// Begin and end

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
  found.repaired = marks_.repaired;
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
      const auto size = one.body.size() + record_overhead;
      held_.push_back({lsn, size});
      held_bytes_ += size;
      pending_bytes_ += size;
      found.log.append(std::move(one), 0);
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
  now.held_records = held_.size();
  now.held_bytes = held_bytes_;
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
  for (const auto& r : m->records)
    if (r.no_op != r.body.empty() || r.lsn == 0 || r.lsn > lsn_max ||
        !storage::decode_body(r.lsn, r.body, record)) {
      ++stats_.records_refused;
      return false;
    }
  return true;
}

void replication_host::on_round() {
  if (halted_) return;
  look_at_disk();
  drain();
}

void replication_host::feed(replica_event what) {
  try {
    events_.push_back(std::move(what));
  } catch (const std::bad_alloc&) {
    return halt_for_memory();
  }
  drain();
}

/// Hands the machine all there is to tell it, without a look at the disk.
void replication_host::step_machine() {
  while (!events_.empty() && !halted_) {
    const auto e = std::move(events_.front());
    events_.pop_front();
    for (auto& a : machine_->step(e, around_.now())) {
      if (halted_) return;
      std::visit([this](auto& what) { on(what); }, a);
    }
  }
}

void replication_host::drain() {
  try {
    while (!halted_) {
      step_machine();
      if (halted_) return;
      look_at_disk();
      forget_old();
      if (events_.empty()) return;
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

// The log

void replication_host::on(action::write_wal& a) {
  std::visit([&](const auto& w) { write(a.position, w); }, a.what);
}

void replication_host::write(std::uint64_t position, const wal::fence& w) {
  shard_->fence(w.max_epoch);
  pieces_.push_back({position, 0, w.max_epoch});
}

void replication_host::write(std::uint64_t position, const wal::record& w) {
  if (auto status = shard_->append(w.what.lsn, w.what.epoch, w.what.body); !status.ok())
    return halt(std::move(status));
  const auto size = w.what.body.size() + record_overhead;
  held_.push_back({w.what.lsn, size});
  held_bytes_ += size;
  pending_bytes_ += size;
  pieces_.push_back({position, w.what.lsn, 0});
}

void replication_host::write(std::uint64_t position, const wal::truncation& w) {
  shard_->cut(w.from - 1);
  for (; !held_.empty() && held_.back().lsn >= w.from; held_.pop_back()) {
    held_bytes_ -= held_.back().bytes;
    pending_bytes_ -= held_.back().bytes;
  }
  for (auto& piece : pieces_) // never comes to disk, and nobody waits for it
    if (piece.lsn >= w.from) piece.lsn = 0;
  pieces_.push_back({position, 0, 0});
}

void replication_host::write(std::uint64_t position, const wal::commit& w) {
  shard_->note_commit(w.lsn);
  pieces_.push_back({position, 0, 0});
}

void replication_host::write(std::uint64_t position, const wal::incomplete&) {
  marks_.incomplete = true;
  if (auto status = write_marks(files_, engine_.options().folder, id_, marks_); !status.ok())
    return halt(std::move(status));
  pieces_.push_back({position, 0, 0});
}

void replication_host::write(std::uint64_t position, const wal::complete&) {
  marks_.incomplete = marks_.repaired = false;
  if (auto status = write_marks(files_, engine_.options().folder, id_, marks_); !status.ok())
    return halt(std::move(status));
  pieces_.push_back({position, 0, 0});
}

void replication_host::write(std::uint64_t position, const wal::installation& w) {
  floor_ = {w.end.lsn, w.end.epoch, w.end.hash};
  if (auto status = shard_->install(incoming_, floor_); !status.ok())
    return halt(std::move(status));
  held_.clear();
  readers_.clear();
  held_bytes_ = pending_bytes_ = 0;
  for (auto& piece : pieces_) piece.lsn = 0;
  pieces_.push_back({position, 0, 0});
  ++stats_.checkpoints_installed;
}

/// How far the pieces that were written are on disk.
void replication_host::look_at_disk() {
  if (shard_->log_failed())
    return halt({op_code::io_error,
                 fmt::format("shard {}: its log has failed; the node should hand over what it has "
                             "and end",
                             id_.value)});
  const auto lsn = shard_->durable_lsn();
  const auto epoch = shard_->durable_epoch();
  std::uint64_t position = 0;
  for (; !pieces_.empty() && pieces_.front().lsn <= lsn && pieces_.front().epoch <= epoch;
       pieces_.pop_front())
    position = pieces_.front().position;
  if (position != 0) events_.push_back(event::wal_synced{position});
}

/// What is committed and on disk need not be in memory, but for what copies may ask for next.
void replication_host::forget_old() {
  if (held_bytes_ - pending_bytes_ <= options_.kept_bytes) return;
  const auto up_to = std::min(shard_->applied().lsn, shard_->durable_lsn());
  auto left = held_bytes_ - pending_bytes_;
  lsn_t lsn = 0;
  for (const auto& r : held_) {
    if (left <= options_.kept_bytes / 2 || r.lsn > up_to) break;
    left -= r.bytes;
    lsn = r.lsn;
  }
  if (lsn == 0) return;
  // The machine may keep more, for members that lag behind. It does nothing but forget.
  static_cast<void>(machine_->step(event::checkpoint_published{lsn}, around_.now()));
  for (; !held_.empty() && held_.front().lsn <= machine_->log().base().lsn; held_.pop_front())
    held_bytes_ -= held_.front().bytes;
}

void replication_host::on(const action::committed& a) {
  for (;;) {
    const auto some = machine_->log().behind(shard_->applied().lsn, 64);
    for (const auto& r : some) {
      if (r.lsn > a.lsn) return;
      const auto place = machine_->log().at_or_below(r.lsn);
      if (auto status = shard_->apply({place.lsn, place.epoch, place.hash}, r.body); !status.ok())
        return halt(std::move(status));
      pending_bytes_ -= r.body.size() + record_overhead;
    }
    if (some.size() < 64) return;
  }
}

// Copies that lag behind, or begin

void replication_host::on(const action::read_log& a) {
  ++stats_.log_reads;
  event::log_read out{a.to, a.after, 0, {}};
  if (auto status = read_for(a, out); !status.ok()) {
    readers_.erase(a.to);
    out.records.clear();
    if (status.code() != op_code::not_found) return halt(std::move(status));
  }
  events_.push_back(std::move(out));
}

op_status replication_host::read_for(const action::read_log& a, event::log_read& out) {
  auto& from = readers_[a.to];
  if (!from.cursor || from.at != a.after) {
    if (a.after < floor_.lsn) return op_code::not_found;
    const bool at_floor = a.after == floor_.lsn;
    from = {engine_.read_log(id_, at_floor ? a.after : a.after - 1), a.after,
            at_floor ? floor_.epoch : epoch_t{0}, at_floor};
  }
  const auto up_to = std::min(shard_->applied().lsn, shard_->durable_lsn());
  while (out.records.size() < a.count_max) {
    auto frame = from.cursor->next(up_to);
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
      if (record.op == storage::log_op::parts || lsn > (*frame)->keep || lsn > up_to) continue;
      if (lsn == from.at && !from.fits) {
        from.fits = true;
        from.epoch = (*frame)->header.epoch;
      }
      if (lsn <= from.at) continue;
      if (!from.fits) return op_code::not_found; // what the other copy ends with is not in here
      if (out.records.empty()) out.after_epoch = from.epoch;
      out.records.push_back({lsn, (*frame)->header.epoch, record.op == storage::log_op::nothing,
                             storage::body_of(record)});
      from.at = lsn;
      from.epoch = (*frame)->header.epoch;
    }
  }
  from.cursor->rest();
  return {};
}

op_status replication_host::checkpoint_arrived(epoch_t max_epoch, const std::string& path) {
  if (halted_) return {op_code::shutting_down, "this copy has halted"};
  auto reader = storage::checkpoint_reader::open(files_, path);
  if (!reader) return reader.status();
  if (reader->header().shard != id_)
    return {op_code::invalid_argument, fmt::format("{} holds shard {}, not shard {}", path,
                                                   reader->header().shard.value, id_.value)};
  applied_place place;
  if (auto status = read_place(*reader, place); !status.ok()) return status;
  if (auto status = reader->verify(); !status.ok()) return status;
  incoming_ = path;
  feed(event::checkpoint_received{max_epoch, {place.lsn, place.epoch, place.hash}});
  incoming_.clear();
  return {};
}

// Clients

void replication_host::execute(std::span<const operation> operations,
                               std::span<const std::uint32_t> which, std::span<op_reply> replies,
                               value_arena& arena) {
  told_.clear();
  try {
    told_.reserve(which.size());
  } catch (const std::bad_alloc&) {
    for (const auto i : which) refuse(replies[i], op_code::no_space);
    return;
  }
  own_from_ = tickets_.next();
  for (const auto i : which) {
    auto& reply = replies[i];
    try {
      if (execute_one(operations[i], reply, arena)) told_.push_back(i);
    } catch (const std::bad_alloc&) { // nothing was logged
      refuse(reply, op_code::no_space);
    }
  }
  send_logged();
  // R7: the clock is looked at after the values were read.
  if (!told_.empty() && (halted_ || !machine_->may_read(around_.now())))
    for (const auto i : told_) refuse(replies[i], op_code::unavailable);
  // What has become of the others meanwhile, as in a set of one, is told at once.
  for (const auto i : which) {
    auto& reply = replies[i];
    if (reply.durable_at == 0) continue;
    const auto state = tickets_.state(reply.durable_at);
    if (state == storage::durable_state::durable)
      reply.durable_at = 0;
    else if (state == storage::durable_state::failed)
      refuse(reply, is_write(operations[i].kind) ? op_code::outcome_unknown : op_code::unavailable);
  }
  own_from_ = no_tickets;
}

void replication_host::refuse(op_reply& reply, op_code code) const {
  reply.reset();
  reply.shard = id_;
  reply.code = code;
}

bool replication_host::execute_one(const operation& op, op_reply& reply, value_arena& arena) {
  refuse(reply, op_code::unavailable);
  if (halted_ || !machine_->serves()) return false;
  storage::write_effect effect;
  const bool writes = is_write(op.kind);
  const bool repeated = writes && op.request && shard_->answer_retry(op, reply, effect);
  if (!repeated) {
    if (writes)
      if (const auto code = admit(op.key.size() + op.value.size()); code != op_code::ok) {
        stats_.overloaded += code == op_code::overloaded;
        refuse(reply, code);
        return false;
      }
    if (shard_->has_expired(op.key) && !remove_expired(op.key)) {
      refuse(reply, op_code::unavailable);
      return false;
    }
    if (!tickets_.has_room()) {
      refuse(reply, op_code::overloaded);
      return false;
    }
    executed_lsn_ = machine_->log().last().lsn + 1;
    shard_->execute(op, executed_lsn_, arena, reply, effect);
  }
  ++(writes ? stats_.writes : stats_.reads);
  if (!effect.body.empty()) {
    reply.durable_at = tickets_.take();
    log_write(reply.durable_at, level_of(op.level, options_.machine.level), std::move(effect.body));
    return false;
  }
  // These tell of nothing that was seen.
  if (reply.code == op_code::invalid_argument || reply.code == op_code::no_space) return false;
  if (effect.depends_on <= shard_->applied().lsn) return true;
  if (!tickets_.has_room()) {
    refuse(reply, op_code::overloaded);
    return false;
  }
  reply.durable_at = tickets_.take();
  tell_machine(event::client_read{reply.durable_at, effect.depends_on});
  return false;
}

// Transactions

storage::write_limits replication_host::limits(storage::write_limits::scope to) const {
  const auto most = options_.pending_bytes_max;
  return {.to = to,
          .refusal = admit(0),
          .bytes_now = pending_bytes_ == 0      ? most
                       : pending_bytes_ >= most ? 0
                                                : most - pending_bytes_,
          .bytes_ever = most};
}

ack_level replication_host::highest(std::uint8_t levels) const {
  auto highest = levels == 0 ? options_.machine.level : ack_level::async;
  for (unsigned d = 0; d < 8; ++d)
    if ((levels >> d & 1) != 0)
      highest = std::max(highest, level_of(static_cast<durability>(d), options_.machine.level));
  return highest;
}

op_code replication_host::conclude(storage::write_effect effect, std::uint64_t& ticket) {
  ticket = 0;
  own_from_ = tickets_.next();
  const bool writes = !effect.body.empty();
  ++(writes ? stats_.writes : stats_.reads);
  auto code = op_code::ok;
  if (writes) {
    ticket = tickets_.take();
    log_write(ticket, highest(effect.levels), std::move(effect.body));
  } else if (effect.depends_on > shard_->applied().lsn) {
    if (tickets_.has_room()) {
      ticket = tickets_.take();
      tell_machine(event::client_read{ticket, effect.depends_on});
    } else {
      code = op_code::overloaded;
    }
  }
  send_logged();
  if (ticket == 0) {
    if (code == op_code::ok && (halted_ || !machine_->may_read(around_.now())))
      code = op_code::unavailable;
  } else {
    const auto state = tickets_.state(ticket);
    if (state != storage::durable_state::pending) ticket = 0;
    if (state == storage::durable_state::failed)
      code = writes ? op_code::outcome_unknown : op_code::unavailable;
  }
  own_from_ = no_tickets;
  return code;
}

op_code replication_host::transact(std::span<const std::string_view> keys,
                                   storage::write_limits::scope to,
                                   const storage::transaction_body& body, std::uint64_t& ticket) {
  ticket = 0;
  if (halted_ || !machine_->serves()) return op_code::unavailable;
  const auto now_ms = shard_->now_ms();
  auto code = op_code::ok;
  storage::write_effect effect;
  try {
    for (const auto key : keys)
      if (shard_->has_expired(key) && !remove_expired(key)) code = op_code::unavailable;
    if (code == op_code::ok) {
      executed_lsn_ = machine_->log().last().lsn + 1;
      code = shard_->transact(executed_lsn_, now_ms, limits(to), body, effect);
    }
  } catch (const std::bad_alloc&) {
    code = op_code::no_space;
  }
  if (code == op_code::ok) return conclude(std::move(effect), ticket);
  stats_.overloaded += code == op_code::overloaded;
  send_logged(); // what has expired
  return code;
}

op_code replication_host::execute_atomic(std::span<const operation> operations,
                                         std::span<op_reply> replies, value_arena& arena) {
  const auto refuse_each = [&](op_code code) {
    for (auto& reply : replies) refuse(reply, op_code::unavailable);
    replies.front().code = code;
    return code;
  };
  if (halted_ || !machine_->serves()) return refuse_each(op_code::unavailable);
  const auto now_ms = shard_->now_ms();
  auto code = op_code::ok;
  storage::write_effect effect;
  try {
    for (const auto& op : operations)
      if (shard_->has_expired(op.key) && !remove_expired(op.key)) {
        send_logged();
        return refuse_each(op_code::unavailable);
      }
    executed_lsn_ = machine_->log().last().lsn + 1;
    code =
        shard_->execute_atomic(operations, executed_lsn_, now_ms,
                               limits(storage::write_limits::scope::keys), replies, arena, effect);
  } catch (const std::bad_alloc&) {
    code = refuse_each(op_code::no_space);
  }
  const bool tells = code == op_code::ok || code == op_code::not_found ||
                     code == op_code::already_exists || code == op_code::version_mismatch ||
                     code == op_code::wrong_type;
  if (!tells) {
    stats_.overloaded += code == op_code::overloaded;
    send_logged();
    return code;
  }
  std::uint64_t ticket = 0;
  if (const auto end = conclude(std::move(effect), ticket); end != op_code::ok)
    return refuse_each(end);
  for (auto& reply : replies) {
    reply.shard = id_;
    reply.durable_at = ticket;
  }
  return code;
}

op_result<storage::key_mark> replication_host::mark(std::string_view key) {
  if (halted_ || !machine_->serves())
    return op_status{op_code::unavailable, "this node is not the one to ask for the key"};
  try {
    return shard_->mark(key, machine_->log().last().lsn);
  } catch (const std::bad_alloc&) {
    return op_status{op_code::no_space, "no memory for a mark"};
  }
}

op_code replication_host::admit(std::size_t bytes) const {
  if (const auto code = machine_->may_write(); code != op_code::ok) return code;
  const auto size = bytes + record_overhead;
  const bool full = pending_bytes_ != 0 && pending_bytes_ + size > options_.pending_bytes_max;
  return full || !tickets_.has_room() || !shard_->has_room() ? op_code::overloaded : op_code::ok;
}

/// What was executed is pending, so it must be logged, or the copy is of no use.
void replication_host::tell_machine(replica_event what) {
  try {
    events_.push_back(std::move(what));
    step_machine();
  } catch (const std::bad_alloc&) {
    halt_for_memory();
  }
}

void replication_host::log_write(std::uint64_t ticket, ack_level level, std::string body) {
  logged_ = true;
  tell_machine(event::client_write{ticket, level, std::move(body), true});
}

void replication_host::send_logged() {
  if (!halted_ && std::exchange(logged_, false)) feed(event::send_logged{});
}

/// Nobody is told that a key has gone before its removal is committed.
bool replication_host::remove_expired(std::string_view key) {
  if (machine_->may_write() != op_code::ok || !shard_->has_room()) return false;
  storage::write_effect effect;
  executed_lsn_ = machine_->log().last().lsn + 1;
  shard_->expire(key, executed_lsn_, effect);
  ++stats_.expired;
  log_write(no_ticket, ack_level::async, std::move(effect.body));
  return !halted_;
}

void replication_host::sweep(std::size_t keys_max) {
  if (halted_ || !machine_->serves()) return;
  try {
    for (const auto& key : shard_->find_expired(keys_max, 256))
      if (shard_->has_expired(key) && !remove_expired(key)) break;
  } catch (const std::bad_alloc&) { // the rest has its turn next time
  }
  send_logged();
}

void replication_host::on(const action::logged& a) {
  if (a.lsn != executed_lsn_)
    halt(
        {op_code::corruption, fmt::format("shard {}: what was executed for LSN {} was logged at {}",
                                          id_.value, executed_lsn_, a.lsn)});
}

void replication_host::on(const action::answer& a) {
  if (a.token == no_ticket) return;
  tickets_.resolve(a.token, a.code == op_code::ok);
  resolved_ |= a.token < own_from_;
}

} // namespace warp::cluster
