#include "storage/pending_writes.hpp"

#include "storage/key_hash.hpp"
#include "storage/record_body.hpp"

#include <algorithm>
#include <mutex>
#include <new>
#include <utility>

namespace warp::storage {

namespace {

/// Does it leave the same whatever is there? (What has expired was removed before.)
bool is_blind_put(const operation& op) noexcept {
  return op.kind == op_kind::put && op.condition == write_condition::always && !op.keep_expiry &&
         !op.request && op.type == value_type::bytes && op.value.size() < blob_size_min;
}

} // namespace

pending_writes::pending_writes(shard& home, const engine_options& options, const clock& time,
                               std::shared_ptr<table_memory> memory)
    : home_(home), options_(options), time_(time),
      overlay_(home.id(), options, time, std::move(memory)) {}

void pending_writes::execute(const operation& op, lsn_t lsn, std::uint64_t now_ms,
                             value_arena& arena, op_reply& reply, write_effect& effect) {
  reply.reset();
  reply.shard = home_.id();
  effect = {};
  try {
    const auto hash = key_hash(op.key);
    auto* const at = keys_.find(hash, op.key);
    effect.depends_on = seen_at(at);
    if (is_blind_put(op))
      put_blindly(op, at, hash, lsn, reply, effect);
    else if (is_write(op.kind))
      write(op, at, hash, lsn, now_ms, arena, reply, effect);
    else
      read(op, hash, now_ms, at, arena, reply);
  } catch (const std::bad_alloc&) {
    effect = {};
    reply.reset();
    reply.shard = home_.id();
    reply.code = op_code::no_space;
  }
  reply.durable_at = 0; // the caller's matter
}

/// What has come last first: only it says what the answer depends on.
bool pending_writes::answer_retry(const operation& op, op_reply& reply, write_effect& effect) {
  reply.reset();
  reply.shard = home_.id();
  effect = {};
  auto known = overlay_.requests().lookup(op.request);
  if (known.state == request_state::seen) {
    effect.depends_on = known.result.lsn;
  } else {
    std::lock_guard hold{home_.lock()};
    const auto committed = home_.requests().lookup(op.request);
    if (committed.state != request_state::fresh) known = committed;
  }
  if (known.state == request_state::fresh) return false;
  if (known.state == request_state::forgotten) {
    reply.code = op_code::outcome_unknown;
    return true;
  }
  reply.code = known.result.code;
  reply.version = known.result.version;
  reply.number = known.result.number;
  return true;
}

void pending_writes::read(const operation& op, std::uint64_t hash, std::uint64_t now_ms,
                          pending_key* at, value_arena& arena, op_reply& reply) {
  const shard::call c{op, hash, nullptr, now_ms, arena};
  if (at) make(*at);
  if (cleared_at_ != 0 || at) return overlay_.apply(c, reply);
  std::lock_guard hold{home_.lock()};
  home_.apply(c, reply);
}

void pending_writes::put_blindly(const operation& op, pending_key* at, std::uint64_t hash,
                                 lsn_t lsn, op_reply& reply, write_effect& effect) {
  const auto size = op.key.size() + op.value.size() + shard::record_overhead_max;
  if (!overlay_.reserve_memory(unmade_bytes_ + size)) {
    reply.code = op_code::no_space;
    return;
  }
  const record_meta meta{.version = lsn,
                         .expires_at_ms = op.expires_at_ms,
                         .type = op.type,
                         .rank = op.rank,
                         .pattern = op.pattern};
  const auto logged = [&] {
    return log_record{
        .op = log_op::put, .lsn = lsn, .meta = meta, .key = op.key, .value = op.value};
  };
  auto body = op.expires_at_ms == 0 ? plain_put_body(meta, op.key, op.value, bodies_)
                                    : body_of(logged(), bodies_);
  const bool is_new = !at;
  auto& key = is_new ? keys_.add(hash, op.key) : *at;
  try {
    order_.push_back({lsn, &key});
    try {
      if (op.expires_at_ms != 0) overlay_.replay(logged(), 0);
    } catch (const std::bad_alloc&) {
      order_.pop_back();
      throw;
    }
  } catch (const std::bad_alloc&) {
    if (is_new) keys_.remove(key);
    throw;
  }
  if (op.expires_at_ms != 0) {
    set_unmade(key, {});
    key.in_overlay = true;
  } else {
    set_unmade(key, body);
  }
  key.lsn = lsn;
  reply.code = op_code::ok;
  reply.version = lsn;
  reply.expires_at_ms = op.expires_at_ms;
  effect = {.body = std::move(body)};
}

void pending_writes::set_unmade(pending_key& to, shared_bytes body) noexcept {
  const auto bytes = [](const shared_bytes& of) {
    return of.empty() ? 0 : of.size() + shard::record_overhead_max;
  };
  unmade_ += !body.empty();
  unmade_ -= !to.unmade.empty();
  unmade_bytes_ += bytes(body);
  unmade_bytes_ -= bytes(to.unmade);
  to.unmade = std::move(body);
}

void pending_writes::make(pending_key& what) {
  if (what.unmade.empty()) return;
  log_record record;
  [[maybe_unused]] const bool known = decode_body(what.lsn, what.unmade, record);
  overlay_.replay(record, 0);
  what.in_overlay = true;
  set_unmade(what, {});
}

void pending_writes::make_all() {
  if (unmade_ == 0) return;
  keys_.each([this](pending_key& key) { make(key); });
}

void pending_writes::write(const operation& op, pending_key* at, std::uint64_t hash, lsn_t lsn,
                           std::uint64_t now_ms, value_arena& arena, op_reply& reply,
                           write_effect& effect) {
  large_value large;
  const bool is_large = op.kind == op_kind::put && op.value.size() >= blob_size_min;
  if (is_large) large = make_large(op.value, options_.compress_min_bytes, op.type);
  const bool is_new = !at;
  if (is_new)
    at = &keys_.add(hash, op.key);
  else
    make(*at);
  // Whatever ends it early: a key that was not pending is not.
  struct backing_out {
    pending_writes& all;
    pending_key& key;
    bool stays;
    ~backing_out() {
      if (!stays) all.forget(key);
    }
  } backed{*this, *at, !is_new};
  at->in_overlay = true;
  if (is_new) adopt(hash, op.key);

  overlay_.count_from(lsn - 1);
  staged_.clear();
  staged_.reserve(1);
  order_.push_back({lsn, at});
  overlay_.begin_staging(staged_);
  try {
    overlay_.apply({op, hash, is_large ? &large : nullptr, now_ms, arena}, reply);
    if (!staged_.empty()) effect.body = body_of(staged_.front().logged);
    overlay_.reserve_to_settle(nullptr);
  } catch (const std::bad_alloc&) {
    overlay_.take_back();
    order_.pop_back();
    throw;
  }
  if (staged_.empty()) {
    overlay_.let_go();
    order_.pop_back();
    return;
  }
  overlay_.settle(nullptr);
  note_removals(staged_, false);
  overlay_.let_go();
  at->lsn = lsn;
  backed.stays = true;
  effect.depends_on = 0;
}

bool pending_writes::has_expired(std::string_view key, std::uint64_t now_ms) {
  // Nobody changes the table but who calls this.
  if (!home_.has_expiring() && !overlay_.has_expiring()) return false;
  std::lock_guard hold{home_.lock()};
  const auto hash = key_hash(key);
  const auto* const at = keys_.find(hash, key);
  if (at && !at->unmade.empty()) return false;
  const auto& there = cleared_at_ != 0 || at ? overlay_ : home_;
  const auto* r = there.records().find(hash, key);
  return r && r->expires_at_ms() != 0 && r->expires_at_ms() <= now_ms;
}

void pending_writes::expire(std::string_view key, lsn_t lsn, write_effect& effect) {
  // Not by an operation: to that, what has expired is not there.
  const auto hash = key_hash(key);
  effect = {};
  const log_record logged{.op = log_op::erase, .lsn = lsn, .key = key};
  auto body = body_of(logged, bodies_);
  auto* at = keys_.find(hash, key);
  const bool is_new = !at;
  if (is_new) at = &keys_.add(hash, key);
  try {
    order_.push_back({lsn, at});
  } catch (const std::bad_alloc&) {
    if (is_new) keys_.remove(*at);
    throw;
  }
  {
    std::lock_guard hold{home_.lock()};
    if (!home_.absent().empty()) {
      const auto* r = overlay_.records().find(hash, key);
      if (!r) r = home_.records().find(hash, key);
      if (r) home_.absent().note_removal(key, r->version());
    }
  }
  overlay_.drop(hash, key);
  set_unmade(*at, {});
  at->lsn = lsn;
  effect.body = std::move(body);
}

lsn_t pending_writes::seen_at(const pending_key* at) const noexcept {
  return at ? std::max(at->lsn, cleared_at_) : cleared_at_;
}

void pending_writes::adopt(std::uint64_t hash, std::string_view key) {
  if (cleared_at_ != 0) return;
  std::lock_guard hold{home_.lock()};
  if (const auto* r = home_.records().find(hash, key)) overlay_.adopt(hash, *r);
}

void pending_writes::note_removals(const staged_writes& done, bool cleared) noexcept {
  std::lock_guard hold{home_.lock()};
  auto& absent = home_.absent();
  if (absent.empty()) return;
  for (const auto& w : done) {
    if (w.logged.op == log_op::erase) absent.note_removal(w.logged.key, w.replaced->version());
    if (w.cleared)
      absent.note_removals([&](std::string_view key) -> lsn_t {
        const auto* r = w.cleared->find(key_hash(key), key);
        return r ? r->version() : 0;
      });
  }
  if (cleared)
    absent.note_removals([&](std::string_view key) -> lsn_t {
      const auto* r = home_.records().find(key_hash(key), key);
      return r ? r->version() : 0;
    });
}

key_mark pending_writes::mark(engine& owner, std::string_view key, lsn_t last) {
  key_mark made{key};
  made.since_ = last;
  made.reign_ = undone_;
  const auto hash = key_hash(key);
  const auto now_ms = std::max<std::uint64_t>(time_.now_ms(), 1);
  std::lock_guard hold{home_.lock()};
  const auto* const at = keys_.find(hash, key);
  const bool pending = cleared_at_ != 0 || at;
  const auto& there = pending ? overlay_ : home_;
  if (at && !at->unmade.empty()) {
    made.version_ = at->lsn;
  } else if (const auto* r = there.find_live(hash, key, now_ms)) {
    made.version_ = r->version();
  } else {
    home_.absent().watch(key);
    made.engine_ = &owner;
  }
  return made;
}

void pending_writes::forget(pending_key& key) noexcept {
  if (key.in_overlay) overlay_.drop(key.hash, key.text);
  set_unmade(key, {});
  keys_.remove(key);
}

void pending_writes::committed(lsn_t lsn) noexcept {
  constexpr std::size_t ahead = 4;
  for (; !order_.empty() && order_.front().lsn <= lsn; order_.pop_front()) {
    if (order_.size() > ahead) __builtin_prefetch(order_[ahead].key);
    if (const auto [done, key] = order_.front(); key->lsn == done) forget(*key);
  }
  if (cleared_at_ <= lsn) cleared_at_ = 0;
  if (!order_.empty()) return;
  overlay_.requests().clear(); // the table's shard knows all of it
  overlay_.settle_memory();
}

void pending_writes::undo() noexcept {
  ++undone_;
  cleared_at_ = 0;
  order_.clear();
  keys_.clear();
  unmade_ = unmade_bytes_ = 0;
  overlay_.clear();
  overlay_.settle_memory();
}

} // namespace warp::storage
