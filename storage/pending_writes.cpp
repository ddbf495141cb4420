#include "storage/pending_writes.hpp"

#include "storage/replicated_shard.hpp"

#include <algorithm>
#include <mutex>
#include <new>
#include <utility>

namespace warp::storage {

pending_writes::pending_writes(shard& home, const engine_options& options, const clock& time,
                               std::shared_ptr<table_memory> memory)
    : home_(home), options_(options), time_(time),
      overlay_(home.id(), options, time, std::move(memory)) {}

void pending_writes::execute(const operation& op, lsn_t lsn, value_arena& arena, op_reply& reply,
                             write_effect& effect) {
  reply.reset();
  reply.shard = home_.id();
  effect = {};
  try {
    const auto hash = table::hash(op.key);
    effect.depends_on = seen_at(newest_.find(op.key));
    if (is_write(op.kind))
      write(op, hash, lsn, arena, reply, effect);
    else
      read(op, hash, arena, reply);
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

void pending_writes::read(const operation& op, std::uint64_t hash, value_arena& arena,
                          op_reply& reply) {
  const shard::call c{op, hash, nullptr, time_.now_ms(), arena};
  if (cleared_at_ != 0 || newest_.contains(op.key)) return overlay_.apply(c, reply);
  std::lock_guard hold{home_.lock()};
  home_.apply(c, reply);
}

void pending_writes::write(const operation& op, std::uint64_t hash, lsn_t lsn, value_arena& arena,
                           op_reply& reply, write_effect& effect) {
  large_value large;
  const bool is_large = op.kind == op_kind::put && op.value.size() >= blob_size_min;
  if (is_large) large = make_large(op.value, options_.compress_min_bytes, op.type);
  const auto [at, is_new] = newest_.try_emplace(std::string{op.key}, 0);
  // Whatever ends it early: a key that was not pending is not.
  struct backing_out {
    pending_writes& all;
    std::string_view name;
    std::uint64_t hash;
    bool stays;
    ~backing_out() {
      if (!stays) all.forget(hash, name);
    }
  } key{*this, at->first, hash, !is_new};
  if (is_new) adopt(hash, op.key);

  overlay_.count_from(lsn - 1);
  staged_.clear();
  staged_.reserve(1);
  order_.push_back({lsn, &*at});
  overlay_.begin_staging(staged_);
  try {
    overlay_.apply(
        {op, hash, is_large ? &large : nullptr, std::max<std::uint64_t>(time_.now_ms(), 1), arena},
        reply);
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
  at->second = lsn;
  key.stays = true;
  effect.depends_on = 0;
}

bool pending_writes::has_expired(std::string_view key) {
  const auto hash = table::hash(key);
  const auto look = [&](const shard& s) {
    const auto* r = s.records().find(hash, key);
    return r && r->expires_at_ms() != 0 && r->expires_at_ms() <= time_.now_ms();
  };
  if (cleared_at_ != 0 || newest_.contains(key)) return look(overlay_);
  std::lock_guard hold{home_.lock()};
  return home_.has_expiring() && look(home_);
}

void pending_writes::expire(std::string_view key, lsn_t lsn, write_effect& effect) {
  // Not by an operation: to that, what has expired is not there.
  const auto hash = table::hash(key);
  effect = {};
  const log_record logged{.op = log_op::erase, .lsn = lsn, .key = key};
  auto body = body_of(logged);
  const auto [at, is_new] = newest_.try_emplace(std::string{key}, 0);
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
  at->second = lsn;
  effect.body = std::move(body);
}

lsn_t pending_writes::seen_at(newest_by_key::const_iterator at) const noexcept {
  return at == newest_.end() ? cleared_at_ : std::max(at->second, cleared_at_);
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
  const auto& there = cleared_at_ != 0 || newest_.contains(key) ? overlay_ : home_;
  if (const auto* r = there.find_live(hash, key, now_ms)) {
    made.version_ = r->version();
  } else {
    home_.absent().watch(key);
    made.engine_ = &owner;
  }
  return made;
}

void pending_writes::forget(std::uint64_t hash, std::string_view key) noexcept {
  overlay_.drop(hash, key);
  newest_.erase(newest_.find(key));
}

void pending_writes::committed(lsn_t lsn) noexcept {
  while (!order_.empty() && order_.front().lsn <= lsn) {
    const auto [done, key] = order_.front();
    order_.pop_front();
    if (key->second == done) forget(table::hash(key->first), key->first);
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
  overlay_.clear();
  overlay_.settle_memory();
}

} // namespace warp::storage
