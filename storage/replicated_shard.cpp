#include "storage/replicated_shard.hpp"

#include "storage/batch_conditions.hpp"
#include "storage/engine_state.hpp"
#include "storage/no_memory.hpp"
#include "storage/pending_transaction.hpp"
#include "storage/transaction_share.hpp"

#include <algorithm>
#include <array>
#include <fmt/format.h>
#include <limits>
#include <mutex>
#include <new>

namespace warp::storage {

replicated_shard::replicated_shard(engine& owner, shard& s, replica_start& start)
    : engine_(owner), shard_(s), log_(*s.log()), start_(start),
      pending_(s, owner.state_->options, *owner.state_->time, owner.state_->memory) {
  // LSNs are the replicas' from here on: what an unclean start reserves is not left out.
  std::lock_guard hold{shard_.lock()};
  log_.cut(start_.last);
  log_.note_commit(start_.commit);
}

shard_id replicated_shard::id() const noexcept {
  return shard_.id();
}

// -- the log

bool replicated_shard::has_room() const noexcept {
  return log_.has_room();
}
bool replicated_shard::log_failed() const noexcept {
  return log_.stream_failed();
}
lsn_t replicated_shard::durable_lsn() const noexcept {
  return log_.durable_lsn();
}
epoch_t replicated_shard::durable_epoch() const noexcept {
  return log_.durable_epoch();
}
void replicated_shard::request_sync() noexcept {
  log_.request_sync();
}

op_status replicated_shard::append(std::span<const copied_record> records) {
  return unless_no_memory("log", [&]() -> op_status {
    std::lock_guard hold{shard_.lock()};
    for (const auto& r : records) {
      log_.reserve(r.body.size());
      log_.set_record_epoch(r.epoch);
      log_.append_body(r.lsn, r.body);
      if (log_.frame_is_full()) log_.commit();
    }
    log_.commit();
    shard_.counters().log_records += records.size();
    return {};
  });
}

void replicated_shard::fence(epoch_t epoch) {
  std::lock_guard hold{shard_.lock()};
  if (epoch > log_.epoch()) log_.set_epoch(epoch);
}

void replicated_shard::cut(lsn_t last) {
  std::lock_guard hold{shard_.lock()};
  log_.cut(last);
}

void replicated_shard::note_commit(lsn_t lsn, bool at_once) {
  std::lock_guard hold{shard_.lock()};
  log_.note_commit(lsn, at_once);
}

// -- the table

void replicated_shard::resume(const applied_place& at) {
  std::lock_guard hold{shard_.lock()};
  start_.applied = at;
}

op_status replicated_shard::apply(std::span<const committed_record> records,
                                  const applied_place& end) {
  // Of the thread: what each shard had of its own would not be in the cache.
  thread_local std::array<log_record, apply_max> decoded;
  std::array<std::uint64_t, apply_max> hashes;
  bool plain = true; // each of them is one change, and a small one
  // Where they lie in the table is fetched for all of them at once: it is what takes time.
  for (std::size_t i = 0; i < records.size(); ++i) {
    const auto& r = records[i];
    if (!decode_body(r.lsn, r.body, decoded[i]))
      return {op_code::corruption,
              fmt::format("shard {}: the record at LSN {} is malformed", id().value, r.lsn)};
    plain = plain && decoded[i].op != log_op::together && !decoded[i].compressed;
    hashes[i] = table::hash(decoded[i].key);
    shard_.prefetch_bucket(hashes[i]);
  }
  if (!plain && records.size() != 1) return op_code::not_supported;
  for (std::size_t i = 0; i < records.size(); ++i) shard_.prefetch_record(hashes[i]);
  auto status = unless_no_memory("table", [&]() -> op_status {
    if (!plain) return make_one(end, decoded[0]);
    make(end, std::span{decoded.data(), records.size()});
    return {};
  });
  decoded[0].large = {};
  return status;
}

/// Under one lock, and for readers at one moment.
void replicated_shard::make(const applied_place& to, std::span<const log_record> changes) {
  {
    const auto& time = *engine_.state_->time;
    std::lock_guard hold{shard_.lock()};
    shard::write_section changing{shard_};
    for (const auto& change : changes) shard_.replay(change, change.request ? time.now_us() : 0);
    shard_.settle_memory();
    start_.applied = to;
    log_.note_commit(to.lsn);
  }
  pending_.committed(to.lsn);
}

op_status replicated_shard::make_one(const applied_place& to, log_record& record) {
  const auto value_max = engine_.state_->options.value_bytes_max;
  if (record.op != log_op::together) {
    if (auto status = expand(record, value_max); !status.ok()) return status;
    make(to, {&record, 1});
    return {};
  }
  std::vector<log_record> changes; // expanded before anything is changed
  op_status status;
  each_change(record, [&](log_record& change) {
    if (!status.ok()) return;
    status = expand(change, value_max);
    changes.push_back(change);
  });
  if (status.ok()) make(to, changes);
  return status;
}

op_status replicated_shard::install(const std::string& path, const applied_place& end) {
  undo();
  if (auto status = unless_no_memory("checkpoint",
                                     [&] { return engine_.replace_copy(shard_.id(), path, end); });
      !status.ok())
    return status;
  cut(end.lsn);
  note_commit(end.lsn);
  return {};
}

// -- a primary

void replicated_shard::execute(const operation& op, lsn_t lsn, std::uint64_t now_ms,
                               value_arena& arena, op_reply& reply, write_effect& effect) {
  auto known = op; // levels of several copies are not the engine's
  known.level = durability::unspecified;
  if (const auto code = engine_.state_->validate(known); code != op_code::ok) {
    reply.reset();
    reply.shard = id();
    reply.code = code;
    effect = {};
    return;
  }
  pending_.execute(known, lsn, now_ms, arena, reply, effect);
}

bool replicated_shard::answer_retry(const operation& op, op_reply& reply, write_effect& effect) {
  return pending_.answer_retry(op, reply, effect);
}

op_code replicated_shard::transact(lsn_t lsn, std::uint64_t now_ms, const write_limits& limits,
                                   const transaction_body& body, write_effect& effect) {
  effect = {};
  try {
    pending_transaction pending{pending_, lsn, limits};
    transaction t{*engine_.state_, pending, now_ms};
    const bool commits = body(t) == transaction_end::commit;
    if (t.failure() != op_code::ok) return t.failure();
    if (commits) effect.body = t.commit_pending();
    effect.depends_on = pending.depends_on();
    effect.levels = pending.levels();
    return op_code::ok;
  } catch (const std::bad_alloc&) { // whatever was begun was taken back
    return op_code::no_space;
  }
}

op_code replicated_shard::execute_atomic(std::span<const operation> operations, lsn_t lsn,
                                         std::uint64_t now_ms, const write_limits& limits,
                                         std::span<op_reply> replies, value_arena& arena,
                                         write_effect& effect) {
  effect = {};
  try {
    return run_atomic(operations, lsn, now_ms, limits, replies, arena, effect);
  } catch (const std::bad_alloc&) {
    effect = {};
    refuse_all(replies, 0, op_code::no_space);
    return op_code::no_space;
  }
}

op_code replicated_shard::run_atomic(std::span<const operation> operations, lsn_t lsn,
                                     std::uint64_t now_ms, const write_limits& limits,
                                     std::span<op_reply> replies, value_arena& arena,
                                     write_effect& effect) {
  const auto& state = *engine_.state_;
  const auto refuse = [&](std::size_t culprit, op_code code, lsn_t version = 0) {
    effect = {};
    refuse_all(replies, culprit, code);
    replies[culprit].version = version;
    return code;
  };
  std::vector<operation> ops{operations.begin(), operations.end()};
  std::vector<std::uint64_t> hashes(ops.size());
  std::uint64_t bytes = 0;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    auto& op = ops[i];
    if (is_write(op.kind)) {
      bytes += op.key.size() + op.value.size();
      effect.levels |= static_cast<std::uint8_t>(1u << static_cast<unsigned>(op.level));
    }
    op.level = durability::unspecified;
    if (const auto code = state.validate(op); code != op_code::ok) return refuse(i, code);
    hashes[i] = table::hash(op.key);
  }
  const auto first_of = first_of_request(ops);
  // A retry of a batch that was done is answered from what is remembered of it.
  std::vector<bool> known(ops.size());
  bool retried = false, writes = false;
  for (std::size_t i = 0; i < ops.size(); ++i) {
    writes = writes || is_write(ops[i].kind);
    write_effect of_retry;
    if (!is_write(ops[i].kind) || !ops[i].request ||
        !pending_.answer_retry(ops[i], replies[i], of_retry))
      continue;
    if (replies[i].code == op_code::outcome_unknown) return refuse(i, op_code::outcome_unknown);
    known[i] = retried = true;
    effect.depends_on = std::max(effect.depends_on, of_retry.depends_on);
  }

  pending_transaction pending{pending_, lsn, limits};
  transaction t{*engine_.state_, pending, now_ms};
  auto& s = t.shares()[0];
  if (writes && !retried)
    if (const auto code = pending.admit(bytes); code != op_code::ok) return refuse(0, code);
  for (const auto& op : ops) pending.bring(op.key);
  effect.depends_on = std::max(effect.depends_on, pending.depends_on());
  if (!retried) {
    const auto verdict = check_conditions(ops, [&](std::size_t i) -> key_state {
      const auto* r = s.at->find_live(hashes[i], ops[i].key, now_ms);
      if (!r) return {};
      return {
          .present = true, .is_hash = r->is_hash(), .version = r->version(), .value = r->value()};
    });
    if (verdict.code != op_code::ok) {
      const auto depends_on = effect.depends_on; // the answer tells of what was met
      const auto code = refuse(verdict.index, verdict.code, verdict.version);
      effect.depends_on = depends_on;
      return code;
    }
  }
  for (std::size_t i = 0; i < ops.size(); ++i) {
    if (known[i]) continue;
    replies[i].reset();
    replies[i].shard = id();
    const bool is_put = ops[i].kind == op_kind::put;
    if (retried && is_write(ops[i].kind)) {
      // It had no effect when the batch was done, so it is not remembered, and must have none now.
      replies[i].code = op_code::not_found;
      continue;
    }
    if (!first_of.empty() && first_of[i] != i) { // a retry within the batch
      replies[i] = replies[first_of[i]];
      continue;
    }
    large_value large;
    const bool is_large = is_put && ops[i].value.size() >= blob_size_min;
    if (is_large) large = make_large(ops[i].value, state.compress_from(), ops[i].type);
    if (is_write(ops[i].kind)) t.begin_writing(s);
    s.at->apply({ops[i], hashes[i], is_large ? &large : nullptr, now_ms, arena}, replies[i]);
    if (replies[i].code == op_code::no_space) throw std::bad_alloc{};
    if (has_failed(ops[i], replies[i].code)) {
      const auto code = replies[i].code;
      const auto version = replies[i].version;
      const auto depends_on = effect.depends_on;
      refuse(i, code, version);
      effect.depends_on = depends_on;
      return code;
    }
  }
  effect.body = t.commit_pending();
  for (auto& reply : replies) reply.durable_at = 0; // the caller's matter
  return op_code::ok;
}

key_mark replicated_shard::mark(std::string_view key, lsn_t last) {
  return pending_.mark(engine_, key, last);
}

std::uint64_t replicated_shard::now_ms() const noexcept {
  return std::max<std::uint64_t>(engine_.state_->time->now_ms(), 1);
}

bool replicated_shard::has_expired(std::string_view key, std::uint64_t now_ms) {
  return pending_.has_expired(key, now_ms);
}

void replicated_shard::expire(std::string_view key, lsn_t lsn, write_effect& effect) {
  pending_.expire(key, lsn, effect);
}

std::vector<std::string> replicated_shard::find_expired(std::size_t keys_max,
                                                        std::size_t buckets_max) {
  std::vector<std::string> keys;
  std::lock_guard hold{shard_.lock()};
  if (!shard_.has_expiring()) return keys;
  const auto now_ms = engine_.state_->time->now_ms();
  for (std::size_t i = 0; i < buckets_max && keys.size() < keys_max; ++i) {
    sweep_cursor_ = shard_.records().walk(sweep_cursor_, [&](const record& r) {
      if (r.expires_at_ms() != 0 && r.expires_at_ms() <= now_ms) keys.emplace_back(r.key());
    });
    if (sweep_cursor_ == 0) break;
  }
  return keys;
}

void replicated_shard::undo() noexcept {
  pending_.undo();
}

// -- of the engine

std::unique_ptr<replicated_shard> engine::replicate(shard_id id) {
  auto& state = *state_;
  return std::make_unique<replicated_shard>(*this, *state.shards[id.value],
                                            state.replica_starts[id.value]);
}

std::uint64_t engine::start_number() const noexcept {
  return state_->folder ? state_->folder->start_number() : 0;
}

} // namespace warp::storage
