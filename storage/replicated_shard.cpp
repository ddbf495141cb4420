#include "storage/replicated_shard.hpp"

#include "storage/engine_state.hpp"
#include "storage/no_memory.hpp"

#include <fmt/format.h>
#include <limits>
#include <mutex>

namespace warp::storage {

std::string body_of(const log_record& record) {
  if (record.op == log_op::nothing) return {};
  char head[record_head_bytes_max];
  const auto size = encode_record_head(record, record.lsn, head);
  std::string body;
  body.reserve(size + record.key.size() + record.payload().size());
  body.append(head, size).append(record.key).append(record.payload());
  return body;
}

bool decode_body(lsn_t lsn, std::string_view body, log_record& record) noexcept {
  if (body.empty()) {
    record = {};
    record.op = log_op::nothing;
    record.lsn = lsn;
    return true;
  }
  auto before = lsn - 1;
  return decode_record(body, before, record) && body.empty() && before == lsn &&
         record.op != log_op::parts && record.op != log_op::nothing;
}

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

op_status replicated_shard::append(lsn_t lsn, epoch_t epoch, std::string_view body) {
  log_record record;
  if (!decode_body(lsn, body, record))
    return {op_code::corruption,
            fmt::format("shard {}: the record at LSN {} is malformed", id().value, lsn)};
  return unless_no_memory("log", [&]() -> op_status {
    std::lock_guard hold{shard_.lock()};
    log_.reserve(record.key.size() + record.value.size());
    log_.set_record_epoch(epoch);
    ++shard_.counters().log_records;
    log_.append(record);
    log_.commit();
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

op_status replicated_shard::apply(const applied_place& to, std::string_view body) {
  log_record record;
  if (!decode_body(to.lsn, body, record))
    return {op_code::corruption,
            fmt::format("shard {}: the record at LSN {} is malformed", id().value, to.lsn)};
  auto& state = *engine_.state_;
  auto status = unless_no_memory("table", [&]() -> op_status {
    if (auto s = expand(record, state.options.value_bytes_max); !s.ok()) return s;
    std::lock_guard hold{shard_.lock()};
    shard::write_section changing{shard_};
    shard_.replay(record, state.time->now_us());
    shard_.settle_memory();
    start_.applied = to;
    return {};
  });
  if (status.ok()) pending_.committed(to.lsn);
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

void replicated_shard::execute(const operation& op, lsn_t lsn, value_arena& arena, op_reply& reply,
                               write_effect& effect) {
  auto known = op; // levels of several copies are not the engine's
  known.level = durability::unspecified;
  if (const auto code = engine_.state_->validate(known); code != op_code::ok) {
    reply.reset();
    reply.shard = id();
    reply.code = code;
    effect = {};
    return;
  }
  pending_.execute(known, lsn, arena, reply, effect);
}

bool replicated_shard::answer_retry(const operation& op, op_reply& reply, write_effect& effect) {
  return pending_.answer_retry(op, reply, effect);
}

bool replicated_shard::has_expired(std::string_view key) {
  return pending_.has_expired(key);
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
