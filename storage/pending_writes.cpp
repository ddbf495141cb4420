#include "storage/pending_writes.hpp"

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

/// For nodes of keys, of that length, that come again.
constexpr std::size_t spare_nodes_max = 256, spare_key_max = 256;

} // namespace

pending_writes::pending_writes(shard& home, const engine_options& options, const clock& time,
                               std::shared_ptr<table_memory> memory)
    : home_(home), options_(options), time_(time),
      overlay_(home.id(), options, time, std::move(memory)) {
  spare_nodes_.reserve(spare_nodes_max);
}

void pending_writes::execute(const operation& op, lsn_t lsn, std::uint64_t now_ms,
                             value_arena& arena, op_reply& reply, write_effect& effect) {
  reply.reset();
  reply.shard = home_.id();
  effect = {};
  try {
    const auto key = view_of(op.key);
    const auto at = newest_.find(key);
    effect.depends_on = seen_at(at);
    if (is_blind_put(op))
      put_blindly(op, at, key.hash, lsn, reply, effect);
    else if (is_write(op.kind))
      write(op, at, key.hash, lsn, now_ms, arena, reply, effect);
    else
      read(op, key.hash, now_ms, at, arena, reply);
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
                          newest_by_key::iterator at, value_arena& arena, op_reply& reply) {
  const shard::call c{op, hash, nullptr, now_ms, arena};
  if (at != newest_.end()) make(at->second);
  if (cleared_at_ != 0 || at != newest_.end()) return overlay_.apply(c, reply);
  std::lock_guard hold{home_.lock()};
  home_.apply(c, reply);
}

void pending_writes::put_blindly(const operation& op, newest_by_key::iterator at,
                                 std::uint64_t hash, lsn_t lsn, op_reply& reply,
                                 write_effect& effect) {
  const auto size = op.key.size() + op.value.size() + shard::record_overhead_max;
  if (!overlay_.reserve_memory(unmade_bytes_ + size)) {
    reply.code = op_code::no_space;
    return;
  }
  const log_record logged{.op = log_op::put,
                          .lsn = lsn,
                          .meta = {.version = lsn,
                                   .expires_at_ms = op.expires_at_ms,
                                   .type = op.type,
                                   .rank = op.rank,
                                   .pattern = op.pattern},
                          .key = op.key,
                          .value = op.value};
  auto body = body_of(logged, bodies_);
  const bool is_new = at == newest_.end();
  if (is_new) at = add(hash, op.key);
  auto& key = at->second;
  try {
    order_.push_back({lsn, &*at});
    try {
      if (op.expires_at_ms != 0) overlay_.replay(logged, 0);
    } catch (const std::bad_alloc&) {
      order_.pop_back();
      throw;
    }
  } catch (const std::bad_alloc&) {
    if (is_new) newest_.erase(at);
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

pending_writes::newest_by_key::iterator pending_writes::add(std::uint64_t hash,
                                                            std::string_view key) {
  if (spare_nodes_.empty()) return newest_.try_emplace({hash, std::string{key}}).first;
  auto node = std::move(spare_nodes_.back());
  spare_nodes_.pop_back();
  node.key().hash = hash;
  node.key().text.assign(key);
  node.mapped() = {};
  return newest_.insert(std::move(node)).position;
}

void pending_writes::set_unmade(newest& to, shared_bytes body) noexcept {
  const auto bytes = [](const shared_bytes& of) {
    return of.empty() ? 0 : of.size() + shard::record_overhead_max;
  };
  unmade_ += !body.empty();
  unmade_ -= !to.unmade.empty();
  unmade_bytes_ += bytes(body);
  unmade_bytes_ -= bytes(to.unmade);
  to.unmade = std::move(body);
}

void pending_writes::make(newest& what) {
  if (what.unmade.empty()) return;
  log_record record;
  [[maybe_unused]] const bool known = decode_body(what.lsn, what.unmade, record);
  overlay_.replay(record, 0);
  what.in_overlay = true;
  set_unmade(what, {});
}

void pending_writes::make_all() {
  if (unmade_ == 0) return;
  for (auto& [key, what] : newest_) make(what);
}

void pending_writes::write(const operation& op, newest_by_key::iterator at, std::uint64_t hash,
                           lsn_t lsn, std::uint64_t now_ms, value_arena& arena, op_reply& reply,
                           write_effect& effect) {
  large_value large;
  const bool is_large = op.kind == op_kind::put && op.value.size() >= blob_size_min;
  if (is_large) large = make_large(op.value, options_.compress_min_bytes, op.type);
  const bool is_new = at == newest_.end();
  if (is_new)
    at = add(hash, op.key);
  else
    make(at->second);
  // Whatever ends it early: a key that was not pending is not.
  struct backing_out {
    pending_writes& all;
    newest_by_key::iterator at;
    bool stays;
    ~backing_out() {
      if (!stays) all.forget(at);
    }
  } key{*this, at, !is_new};
  at->second.in_overlay = true;
  if (is_new) adopt(hash, op.key);

  overlay_.count_from(lsn - 1);
  staged_.clear();
  staged_.reserve(1);
  order_.push_back({lsn, &*at});
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
  at->second.lsn = lsn;
  key.stays = true;
  effect.depends_on = 0;
}

bool pending_writes::has_expired(std::string_view key, std::uint64_t now_ms) {
  // Nobody changes the table but who calls this.
  if (!home_.has_expiring() && !overlay_.has_expiring()) return false;
  std::lock_guard hold{home_.lock()};
  const auto name = view_of(key);
  const auto at = newest_.find(name);
  if (at != newest_.end() && !at->second.unmade.empty()) return false;
  const auto& there = cleared_at_ != 0 || at != newest_.end() ? overlay_ : home_;
  const auto* r = there.records().find(name.hash, key);
  return r && r->expires_at_ms() != 0 && r->expires_at_ms() <= now_ms;
}

void pending_writes::expire(std::string_view key, lsn_t lsn, write_effect& effect) {
  // Not by an operation: to that, what has expired is not there.
  const auto hash = table::hash(key);
  effect = {};
  const log_record logged{.op = log_op::erase, .lsn = lsn, .key = key};
  auto body = body_of(logged, bodies_);
  auto at = newest_.find(key_view{hash, key});
  const bool is_new = at == newest_.end();
  if (is_new) at = add(hash, key);
  try {
    order_.push_back({lsn, &*at});
  } catch (const std::bad_alloc&) {
    if (is_new) newest_.erase(at);
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
  set_unmade(at->second, {});
  at->second.lsn = lsn;
  effect.body = std::move(body);
}

lsn_t pending_writes::seen_at(newest_by_key::const_iterator at) const noexcept {
  return at == newest_.end() ? cleared_at_ : std::max(at->second.lsn, cleared_at_);
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
        const auto* r = w.cleared->find(table::hash(key), key);
        return r ? r->version() : 0;
      });
  }
  if (cleared)
    absent.note_removals([&](std::string_view key) -> lsn_t {
      const auto* r = home_.records().find(table::hash(key), key);
      return r ? r->version() : 0;
    });
}

key_mark pending_writes::mark(engine& owner, std::string_view key, lsn_t last) {
  key_mark made{key};
  made.since_ = last;
  made.reign_ = undone_;
  const auto hash = table::hash(key);
  const auto now_ms = std::max<std::uint64_t>(time_.now_ms(), 1);
  std::lock_guard hold{home_.lock()};
  const auto at = newest_.find(key_view{hash, key});
  const bool pending = cleared_at_ != 0 || at != newest_.end();
  const auto& there = pending ? overlay_ : home_;
  if (at != newest_.end() && !at->second.unmade.empty()) {
    made.version_ = at->second.lsn;
  } else if (const auto* r = there.find_live(hash, key, now_ms)) {
    made.version_ = r->version();
  } else {
    home_.absent().watch(key);
    made.engine_ = &owner;
  }
  return made;
}

void pending_writes::forget(newest_by_key::const_iterator at) noexcept {
  if (at->second.in_overlay) overlay_.drop(at->first.hash, at->first.text);
  auto node = newest_.extract(at);
  set_unmade(node.mapped(), {});
  if (spare_nodes_.size() < spare_nodes_max && node.key().text.capacity() <= spare_key_max)
    spare_nodes_.push_back(std::move(node));
}

void pending_writes::committed(lsn_t lsn) noexcept {
  while (!order_.empty() && order_.front().lsn <= lsn) {
    const auto [done, key] = order_.front();
    order_.pop_front();
    if (key->second.lsn == done) forget(newest_.find(key->first));
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
  newest_.clear();
  unmade_ = unmade_bytes_ = 0;
  overlay_.clear();
  overlay_.settle_memory();
}

} // namespace warp::storage
