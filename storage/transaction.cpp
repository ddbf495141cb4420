#include "storage/transaction.hpp"

#include "storage/engine_state.hpp"
#include "storage/key_hash.hpp"
#include "storage/log_transaction.hpp"
#include "storage/pending_transaction.hpp"
#include "storage/transaction_share.hpp"

#include <algorithm>
#include <new>

namespace warp::storage {

transaction::transaction(engine::state& state, std::vector<std::uint32_t> shards, durability level)
    : state_(state),
      waits_for_reads_((level == durability::unspecified ? state.options.default_level : level) >=
                       durability::sync) {
  std::sort(shards.begin(), shards.end());
  shards.erase(std::unique(shards.begin(), shards.end()), shards.end());
  shares_ = std::make_unique<share[]>(shards.size());
  share_count_ = shards.size();
  for (std::size_t i = 0; i < share_count_; ++i) shares_[i].at = state.shards[shards[i]].get();
}

transaction::transaction(engine::state& state, pending_transaction& pending, std::uint64_t now_ms)
    : state_(state), pending_(&pending), waits_for_reads_(false), now_ms_(now_ms),
      shares_(std::make_unique<share[]>(1)), share_count_(1) {
  shares_[0].at = &pending.at();
}

transaction::~transaction() = default;

std::span<transaction::share> transaction::shares() noexcept {
  return {shares_.get(), share_count_};
}

transaction::share* transaction::share_of(std::uint32_t shard) noexcept {
  const auto all = shares();
  const auto at =
      std::ranges::lower_bound(all, shard, {}, [](const share& s) { return s.at->id().value; });
  return at != all.end() && at->at->id().value == shard ? &*at : nullptr;
}

// -- what the body does
// ------------------------------------------------------------------------------------------------

const record* transaction::find(std::string_view key) {
  auto* const s = share_of(state_.shard_of(key));
  if (!s || (pending_ && !pending_->takes_keys())) {
    failed_ = s ? op_code::invalid_argument : op_code::wrong_shard;
    return nullptr;
  }
  if (pending_) pending_->bring(key);
  const auto hash = key_hash(key);
  const auto* const r = s->at->find_live(hash, key, now_ms_);
  auto& counters = s->at->counters();
  ++counters.gets;
  if (r) {
    ++counters.get_hits;
    counters.bytes_read += key.size() + r->value_size();
    show_found(*s, key, hash, *r);
  }
  // As shard::describe_record() has it.
  if (waits_for_reads_)
    note_seen(*s, r ? r->version() : s->at->last_erase_lsn(), s->at->erase_lsn_before());
  return r;
}

/// To whoever observes.
void transaction::show_found(const share& s, std::string_view key, std::uint64_t hash,
                             const record& r) const noexcept {
  if (!state_.observed->is_on()) [[likely]]
    return;
  op_reply found{.shard = s.at->id(), .value = {}, .large = {}};
  if (!r.large()) found.value = r.value();
  state_.show({.kind = op_kind::get, .key = key, .value = {}, .request = {}}, found, hash);
}

void transaction::scan(std::uint64_t cursor, std::string_view prefix, std::size_t limit,
                       scan_page& page, std::size_t buckets_max) {
  if (pending_ || share_count_ != state_.shard_count()) {
    failed_ = pending_ ? op_code::not_supported : op_code::wrong_shard;
    page.entries.clear();
    page.next_cursor = 0;
    return;
  }
  state_.scan(cursor, prefix, limit, page, buckets_max, /*locked=*/true);
}

std::uint64_t transaction::key_count() {
  if (pending_) failed_ = op_code::not_supported;
  std::uint64_t count = 0;
  for (const auto& s : shares()) count += s.at->key_count();
  return count;
}

void transaction::apply(const operation& op, op_reply& reply, const large_value* prepared) {
  if (!pending_) return apply_one(op, reply, prepared);
  if (is_write(op.kind)) pending_->note_level(op.level);
  auto known = op; // levels of several copies are not the shard's
  known.level = durability::unspecified;
  apply_one(known, reply, prepared);
}

void transaction::apply_one(const operation& op, op_reply& reply, const large_value* prepared) {
  reply.reset();
  if (failed_ != op_code::ok) return refuse(reply, failed_);
  if (const auto code = state_.validate(op); code != op_code::ok) return refuse(reply, code);
  if (op.request) return refuse(reply, op_code::invalid_argument);
  auto* const s = share_of(state_.shard_of(op.key));
  if (!s) return refuse(reply, op_code::wrong_shard);
  if (pending_ && !pending_->takes_keys()) return refuse(reply, op_code::invalid_argument);
  try {
    large_value copied;
    if (pending_) pending_->bring(op.key);
    if (is_write(op.kind)) {
      s->bytes_applied += op.key.size() + op.value.size();
      const auto writes = s->staging ? 1 : std::max<std::uint64_t>(s->writes, 1);
      if (const auto code = admit(*s, writes, std::max(s->bytes, s->bytes_applied));
          code != op_code::ok)
        return refuse(reply, code);
      if (op.kind == op_kind::put && op.value.size() >= blob_size_min && !prepared) {
        copied = make_large(op.value, ~std::uint64_t{0}, op.type);
        prepared = &copied;
      }
      begin_writing(*s);
    }
    const auto hash = key_hash(op.key);
    s->at->apply({op, hash, prepared, now_ms_, arena_}, reply);
    state_.show(op, reply, hash);
  } catch (const std::bad_alloc&) { // before the shard was asked, which does not throw
    return refuse(reply, op_code::no_space);
  }
  if (reply.code == op_code::no_space) failed_ = reply.code;
  if (reply.durable_at != 0) note_seen(*s, reply.durable_at, s->at->erase_lsn_before());
}

void transaction::clear(durability level, freeing when) {
  if (pending_) return clear_pending(level);
  freeing_ = when;
  if (failed_ == op_code::ok && share_count_ != state_.shard_count())
    failed_ = op_code::wrong_shard;
  if (failed_ == op_code::ok && level > state_.level_max) failed_ = op_code::no_replicas;
  const auto asked = level == durability::unspecified ? state_.options.default_level : level;
  try {
    for (auto& s : shares()) {
      if (failed_ != op_code::ok) return;
      if (s.at->records().stats().keys == 0) continue;
      failed_ = admit(s, s.staging ? 1 : std::max<std::uint64_t>(s.writes, 1),
                      std::max(s.bytes, s.bytes_applied));
      if (failed_ != op_code::ok) return;
      begin_writing(s);
      if (s.at->stage_clear(asked) && asked >= durability::sync)
        note_seen(s, s.at->last_erase_lsn(), s.at->erase_lsn_before());
    }
  } catch (const std::bad_alloc&) {
    failed_ = op_code::no_space;
  }
}

void transaction::clear_pending(durability level) {
  auto& s = shares_[0];
  if (!pending_->takes_clear() && failed_ == op_code::ok) failed_ = op_code::wrong_shard;
  pending_->note_level(level);
  try {
    if (failed_ != op_code::ok || !pending_->has_records()) return;
    failed_ = admit(s, 1, s.bytes_applied);
    if (failed_ != op_code::ok) return;
    begin_writing(s);
    static_cast<void>(s.at->stage_clear(durability::unspecified));
    pending_->clear(s.staged);
  } catch (const std::bad_alloc&) {
    failed_ = op_code::no_space;
  }
}

/// Room for one write more.
void transaction::begin_writing(share& s) {
  if (s.staged.size() == s.staged.capacity())
    s.staged.reserve(std::max<std::size_t>(2 * s.staged.capacity(), 4));
  if (s.staging) return;
  s.first_lsn = s.at->last_lsn() + 1;
  s.changing.emplace(*s.at);
  s.at->begin_staging(s.staged);
  s.staging = true;
}

void transaction::note_seen(share& s, lsn_t lsn, lsn_t before) noexcept {
  s.seen = std::max(s.seen, lsn);
  s.seen_before = std::max(s.seen_before, s.staging && lsn >= s.first_lsn ? before : lsn);
}

void transaction::refuse(op_reply& reply, op_code code) noexcept {
  failed_ = code;
  reply.code = code;
}

// -- around it
// ---------------------------------------------------------------------------------------------------------

op_code transaction::admit(share& s, std::uint64_t writes, std::uint64_t bytes) noexcept {
  if (pending_) return pending_->admit(bytes);
  if (const auto code = state_.refusal.load(std::memory_order_relaxed); code != op_code::ok)
    return code;
  auto* const log = s.at->log();
  if (!log) return op_code::ok;
  const auto code = log->admit(writes, bytes);
  if (code == op_code::overloaded) s.full = true;
  return code;
}

op_code transaction::lock() {
  failed_ = op_code::ok;
  arena_.clear();
  for (;;) {
    for (auto& s : shares()) {
      s.lock = std::unique_lock{s.at->lock()};
      s.seen = s.seen_before = 0;
      s.bytes_applied = 0;
      s.full = false;
    }
    auto code = state_.refusal.load(std::memory_order_relaxed);
    if (code != op_code::ok &&
        (share_count_ == 0 ||
         std::ranges::none_of(shares(), [](const share& s) { return s.writes != 0; })))
      code = op_code::ok;
    for (auto& s : shares())
      if (code == op_code::ok && s.writes != 0) code = admit(s, s.writes, s.bytes);
    if (code == op_code::ok) {
      now_ms_ = std::max<std::uint64_t>(state_.time->now_ms(), 1);
      return code;
    }
    for (auto& s : shares()) s.lock.unlock();
    if (code != op_code::overloaded) return code;
    if (const auto room = wait_for_room(); room != op_code::ok) return room;
  }
}

op_code transaction::wait_for_room() {
  for (auto& s : shares())
    if (s.full) return wait_for_room(s);
  return op_code::overloaded;
}

op_code transaction::wait_for_room(share& s) {
  const auto now = std::chrono::steady_clock::now();
  if (!deadline_) {
    deadline_ = now + state_.options.write_stall_max;
    std::lock_guard hold{s.at->lock()};
    ++s.at->counters().stalls;
  } else if (now >= *deadline_) {
    return op_code::overloaded;
  }
  return s.at->log()->wait_for_room(*deadline_);
}

void transaction::commit() {
  std::vector<transaction_part> parts;
  for (auto& s : shares()) {
    const auto logged = [](const staged_write& w) { return w.to_log; };
    const auto first = std::find_if(s.staged.begin(), s.staged.end(), logged);
    if (first == s.staged.end()) continue;
    const auto last = std::find_if(s.staged.rbegin(), s.staged.rend(), logged);
    parts.push_back({.shard = s.at->id(), .first = first->logged.lsn, .last = last->logged.lsn});
  }
  // Logged in one shard at most it needs no list of its parts.
  const auto logged =
      parts.size() > 1 ? std::make_shared<log_transaction>(std::move(parts)) : nullptr;
  for (auto& s : shares())
    if (s.staging) s.at->reserve_to_settle(logged.get());
  // There is memory for all that is left to do: nothing fails any more.
  for (auto& s : shares())
    if (s.staging) s.at->settle(logged);
  for (auto& s : shares())
    if (s.staging) {
      s.at->let_go();
      s.staging = false;
    }
  for (auto& s : shares()) s.changing.reset();
  for (auto& s : shares()) s.lock.unlock();
  for (auto& s : shares())
    for (auto& w : s.staged) {
      if (!w.cleared) continue;
      if (freeing_ == freeing::behind && state_.burials.take(*s.at, w.cleared, w.cleared_bytes))
        continue;
      s.at->bury(std::move(w.cleared), w.cleared_bytes);
    }
}

shared_bytes transaction::commit_pending() {
  auto& s = shares_[0];
  if (!s.staging) return {};
  auto body = pending_->prepare(s.staged);
  if (body.empty()) return body;
  s.at->reserve_to_settle(nullptr);
  // Nothing fails any more.
  s.at->settle(nullptr);
  pending_->commit(s.staged);
  s.at->let_go();
  s.staging = false;
  s.changing.reset();
  for (auto& w : s.staged)
    if (w.cleared) s.at->bury(std::move(w.cleared), w.cleared_bytes);
  return body;
}

void transaction::take_back() noexcept {
  for (auto& s : shares()) {
    s.writes = std::max<std::uint64_t>(s.writes, s.staged.size());
    s.bytes = std::max(s.bytes, s.bytes_applied);
  }
  for (auto& s : shares()) {
    s.take_back();
    s.staged.clear();
  }
}

void transaction::add_waits(bool done, std::vector<durable_target>& waits) {
  for (auto& s : shares()) {
    const auto lsn = done ? s.seen : s.seen_before;
    if (lsn == 0 || !s.at->log()) continue;
    waits.push_back({s.at->id(), lsn});
    if (s.at->log()->durable(lsn) == durable_state::pending) s.at->log()->request_sync();
  }
}

} // namespace warp::storage
