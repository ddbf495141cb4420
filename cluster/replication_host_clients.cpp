// What clients ask of one copy.

#include "cluster/replication_host.hpp"

#include "cluster/turn_scratch.hpp"

#include <fmt/format.h>
#include <new>
#include <utility>

namespace warp::cluster {

using namespace replication;
using storage::op_reply;
using storage::value_arena;

namespace {

/// A write that nobody waits for has this in a ticket's place.
constexpr std::uint64_t no_ticket = 0;

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

} // namespace

void replication_host::execute(std::span<const operation> operations,
                               std::span<const std::uint32_t> which, std::span<op_reply> replies,
                               value_arena& arena) {
  begin_gathering();
  auto& told = turn_scratch::of_this_thread().told;
  told.clear();
  try {
    told.reserve(which.size());
  } catch (const std::bad_alloc&) {
    for (const auto i : which) refuse(replies[i], op_code::no_space);
    return;
  }
  own_from_ = tickets_.next();
  const auto now_ms = shard_->now_ms();
  for (const auto i : which) {
    auto& reply = replies[i];
    try {
      if (execute_one(operations[i], now_ms, reply, arena)) told.push_back(i);
    } catch (const std::bad_alloc&) { // nothing was logged
      refuse(reply, op_code::no_space);
    }
  }
  log_gathered();
  // R7: the clock is looked at after the values were read.
  if (!told.empty() && (halted_ || !machine_->may_read(around_.now())))
    for (const auto i : told) refuse(replies[i], op_code::unavailable);
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

/// One moment decides what has expired: nobody is told so of a key whose removal is not logged.
bool replication_host::execute_one(const operation& op, std::uint64_t now_ms, op_reply& reply,
                                   value_arena& arena) {
  refuse(reply, op_code::unavailable);
  if (halted_ || !machine_->serves()) return false;
  storage::write_effect effect;
  const bool writes = is_write(op.kind);
  const bool repeated = writes && op.request && shard_->answer_retry(op, reply, effect);
  if (!repeated) {
    const auto admitted = [&] {
      const auto code = writes ? admit(op.key.size() + op.value.size()) : op_code::ok;
      if (code == op_code::ok) return true;
      stats_.overloaded += code == op_code::overloaded;
      refuse(reply, code);
      return false;
    };
    if (!admitted()) return false;
    if (shard_->has_expired(op.key, now_ms)) {
      if (!remove_expired(op.key)) {
        refuse(reply, op_code::unavailable);
        return false;
      }
      if (!admitted()) return false; // that was one more
    }
    if (!tickets_.has_room()) {
      refuse(reply, op_code::overloaded);
      return false;
    }
    shard_->execute(op, prepare_write(), now_ms, arena, reply, effect);
  }
  ++(writes ? stats_.writes : stats_.reads);
  if (!effect.body.empty()) {
    reply.durable_at = tickets_.take();
    gather(reply.durable_at, level_of(op.level, options_.machine.level), std::move(effect.body));
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
  const auto pending = pending_bytes_ + gathered_bytes_;
  return {.to = to,
          .refusal = admit(0),
          .bytes_now = pending == 0      ? most
                       : pending >= most ? 0
                                         : most - pending,
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
    gather(ticket, highest(effect.levels), std::move(effect.body));
  } else if (effect.depends_on > shard_->applied().lsn) {
    if (tickets_.has_room()) {
      ticket = tickets_.take();
      tell_machine(event::client_read{ticket, effect.depends_on});
    } else {
      code = op_code::overloaded;
    }
  }
  log_gathered();
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
  begin_gathering();
  if (halted_ || !machine_->serves()) return op_code::unavailable;
  const auto now_ms = shard_->now_ms();
  auto code = op_code::ok;
  storage::write_effect effect;
  try {
    for (const auto key : keys)
      if (shard_->has_expired(key, now_ms) && !remove_expired(key)) code = op_code::unavailable;
    if (code == op_code::ok) {
      code = shard_->transact(prepare_write(), now_ms, limits(to), body, effect);
    }
  } catch (const std::bad_alloc&) {
    code = op_code::no_space;
  }
  if (code == op_code::ok) return conclude(std::move(effect), ticket);
  stats_.overloaded += code == op_code::overloaded;
  log_gathered(); // what has expired
  return code;
}

op_code replication_host::execute_atomic(std::span<const operation> operations,
                                         std::span<op_reply> replies, value_arena& arena) {
  const auto refuse_each = [&](op_code code) {
    for (auto& reply : replies) refuse(reply, op_code::unavailable);
    replies.front().code = code;
    return code;
  };
  begin_gathering();
  if (halted_ || !machine_->serves()) return refuse_each(op_code::unavailable);
  const auto now_ms = shard_->now_ms();
  auto code = op_code::ok;
  storage::write_effect effect;
  try {
    for (const auto& op : operations)
      if (shard_->has_expired(op.key, now_ms) && !remove_expired(op.key)) {
        log_gathered();
        return refuse_each(op_code::unavailable);
      }
    code =
        shard_->execute_atomic(operations, prepare_write(), now_ms,
                               limits(storage::write_limits::scope::keys), replies, arena, effect);
  } catch (const std::bad_alloc&) {
    code = refuse_each(op_code::no_space);
  }
  const bool tells = code == op_code::ok || code == op_code::not_found ||
                     code == op_code::already_exists || code == op_code::version_mismatch ||
                     code == op_code::wrong_type;
  if (!tells) {
    stats_.overloaded += code == op_code::overloaded;
    log_gathered();
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
  if (const auto code = machine_->may_write(gathered_); code != op_code::ok) return code;
  const auto pending = pending_bytes_ + gathered_bytes_;
  const bool full = pending != 0 && pending + bytes + record_overhead > options_.pending_bytes_max;
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

/// The room is the thread's, and nothing of another call may be in it. What an earlier one of this
/// host has executed and not logged, as where a transaction's body has thrown, is pending for ever.
void replication_host::begin_gathering() {
  turn_scratch::of_this_thread().gathered.clear();
  if (std::exchange(gathered_, 0) != 0)
    halt({op_code::corruption,
          fmt::format("shard {}: writes were executed and not logged", id_.value)});
  gathered_bytes_ = 0;
}

lsn_t replication_host::prepare_write() {
  auto& gathered = turn_scratch::of_this_thread().gathered;
  if (gathered.size() == gathered.capacity())
    gathered.reserve(std::max<std::size_t>(64, 2 * gathered.size()));
  return machine_->log().last().lsn + gathered_ + 1;
}

void replication_host::gather(std::uint64_t ticket, ack_level level, shared_bytes body) noexcept {
  gathered_bytes_ += body.size() + record_overhead;
  ++gathered_;
  turn_scratch::of_this_thread().gathered.push_back({ticket, level, std::move(body)});
}

void replication_host::log_gathered() {
  auto& gathered = turn_scratch::of_this_thread().gathered;
  gathered_ = gathered_bytes_ = 0;
  if (halted_ || gathered.empty()) return gathered.clear();
  expected_ = {machine_->log().last().lsn + 1, gathered.size()};
  replica_event all{event::client_writes{std::move(gathered)}};
  feed(std::move(all));
  gathered = std::move(std::get<event::client_writes>(all).writes); // for its room
  gathered.clear();
  if (!halted_ && expected_.count != 0)
    halt({op_code::corruption,
          fmt::format("shard {}: {} writes that were executed from LSN {} on were not logged",
                      id_.value, expected_.count, expected_.first)});
}

/// Nobody is told that a key has gone before its removal is committed.
bool replication_host::remove_expired(std::string_view key) {
  if (machine_->may_write(gathered_) != op_code::ok || !shard_->has_room()) return false;
  storage::write_effect effect;
  shard_->expire(key, prepare_write(), effect);
  ++stats_.expired;
  gather(no_ticket, ack_level::async, std::move(effect.body));
  return true;
}

void replication_host::sweep(std::size_t keys_max) {
  begin_gathering();
  if (halted_ || !machine_->serves()) return;
  try {
    const auto now_ms = shard_->now_ms();
    for (const auto& key : shard_->find_expired(keys_max, 256))
      if (shard_->has_expired(key, now_ms) && !remove_expired(key)) break;
  } catch (const std::bad_alloc&) { // the rest has its turn next time
  }
  log_gathered();
}

void replication_host::on(const action::logged& a) {
  if (a.first != expected_.first || a.count != expected_.count)
    halt({op_code::corruption,
          fmt::format(
              "shard {}: of {} writes that were executed from LSN {} on, {} were logged from "
              "LSN {} on",
              id_.value, expected_.count, expected_.first, a.count, a.first)});
  expected_ = {};
}

void replication_host::on(const action::answer& a) {
  if (a.token == no_ticket) return;
  tickets_.resolve(a.token, a.code == op_code::ok);
  resolved_ |= a.token < own_from_;
}

} // namespace warp::cluster
