#include "storage/shard.hpp"

#include "storage/hash_builder.hpp"
#include "storage/hash_view.hpp"
#include "storage/number.hpp"

#include <algorithm>
#include <mutex>
#include <new>
#include <optional>
#include <utility>

namespace warp::storage {

namespace {

/// The value of a record that was read from a file.
class restored_value {
public:
  /// `bytes` unless `large` is set. Throws std::bad_alloc.
  restored_value(value_type type, std::string_view bytes, const blob_ref& large) {
    if (type == value_type::hash)
      value_ = hash_value_of(builder_.emplace(), large ? large.view() : bytes);
    else if (large || bytes.size() >= blob_size_min)
      value_.large = large ? large : blob_ref::copy_of(bytes);
    else
      value_.bytes = bytes;
  }
  restored_value(const restored_value&) = delete;
  [[nodiscard]] const new_value& value() const noexcept { return value_; }

private:
  std::optional<hash_builder> builder_;
  new_value value_;
};

/// What the write that is replayed has answered.
std::int64_t number_of(const log_record& r) noexcept {
  if (r.number) return *r.number;
  return r.op == log_op::put ? parse_number(r.value).value_or(0) : 0;
}

bool is_expired(const record& r, std::uint64_t now_ms) noexcept {
  const auto at = r.expires_at_ms();
  return at != 0 && at <= now_ms;
}

} // namespace

shard::shard(shard_id id, const engine_options& options, const clock& time,
             std::shared_ptr<table_memory> memory)
    : id_(id), options_(options), time_(time), budget_(memory->budget), readable_(memory->range),
      table_(std::move(memory)) {}

// -- the data path
// -----------------------------------------------------------------------------------------------------

void shard::apply(const call& c, op_reply& reply) {
  reply.shard = id_;
  if (is_write(c.op.kind) && c.op.request && answer_retry(c, reply)) return;
  try {
    switch (c.op.kind) {
    case op_kind::get:
      return get(c, reply);
    case op_kind::exists:
      return exists(c, reply);
    case op_kind::put:
      return put(c, reply);
    case op_kind::erase:
      return erase(c, reply);
    case op_kind::increment:
      return increment(c, reply);
    case op_kind::expire:
      return expire(c, reply);
    case op_kind::hash_set:
      return hash_set(c, reply);
    case op_kind::hash_erase:
      return hash_erase(c, reply);
    case op_kind::hash_increment:
      return hash_increment(c, reply);
    case op_kind::hash_get:
      return hash_get(c, reply);
    case op_kind::hash_all:
      return hash_all(c, reply);
    case op_kind::hash_length:
      return hash_length(c, reply);
    }
    reply.code = op_code::invalid_argument;
  } catch (const std::bad_alloc&) {
    reply.reset();
    reply.shard = id_;
    reply.code = op_code::no_space;
  }
}

record* shard::find_live(std::uint64_t hash, std::string_view key,
                         std::uint64_t now_ms) const noexcept {
  auto* r = table_.find(hash, key);
  return r && !is_expired(*r, now_ms) ? r : nullptr;
}

void shard::get(const call& c, op_reply& reply) {
  ++counters_.gets;
  const auto* r = find_live(c.hash, c.op.key, c.now_ms);
  describe_record(c, r, reply);
  if (!r) return;
  if (r->is_hash()) [[unlikely]] {
    reply.code = op_code::wrong_type;
    return;
  }
  ++counters_.get_hits;
  if (auto* large = r->large()) {
    reply.large = blob_ref::share(large);
    reply.value = reply.large.view();
  } else {
    reply.value = c.arena.copy(r->value());
  }
  counters_.bytes_read += c.op.key.size() + reply.value.size();
}

void shard::exists(const call& c, op_reply& reply) {
  ++counters_.other_ops;
  describe_record(c, find_live(c.hash, c.op.key, c.now_ms), reply);
}

void shard::describe_record(const call& c, const record* r, op_reply& reply) const noexcept {
  reply.code = r ? op_code::ok : op_code::not_found;
  reply.type = r ? r->type() : value_type::bytes;
  reply.version = r ? r->version() : 0;
  reply.expires_at_ms = r ? r->expires_at_ms() : 0;
  // A reader who asked for what is durable waits for the version it saw; if it saw nothing, for the
  // last write that may have removed the key.
  if (level_of(c.op) >= durability::sync) reply.durable_at = r ? r->version() : last_erase_lsn_;
}

void shard::put(const call& c, op_reply& reply) {
  ++counters_.puts;
  auto* raw = table_.find(c.hash, c.op.key);
  auto* live = raw && !is_expired(*raw, c.now_ms) ? raw : nullptr;
  if (!holds(c.op, live, reply)) return;
  record_meta meta{.expires_at_ms =
                       c.op.keep_expiry && live ? live->expires_at_ms() : c.op.expires_at_ms,
                   .type = c.op.type,
                   .rank = c.op.rank,
                   .pattern = c.op.pattern};
  if (c.op.type != value_type::bytes) [[unlikely]]
    return put_hash(c, raw, live != nullptr, meta, reply);
  new_value value{.bytes = c.op.value, .large = {}};
  if (c.large) value.large = c.large->plain;
  store(c, raw, value, meta, live != nullptr, reply);
  counters_.bytes_written += c.op.key.size() + c.op.value.size();
}

void shard::increment(const call& c, op_reply& reply) {
  ++counters_.other_ops;
  auto* raw = table_.find(c.hash, c.op.key);
  auto* live = raw && !is_expired(*raw, c.now_ms) ? raw : nullptr;
  if (!holds(c.op, live, reply)) return;
  std::int64_t before = 0;
  record_meta meta{.rank = c.op.rank, .pattern = c.op.pattern};
  reply.type = live ? live->type() : value_type::bytes;
  if (live) {
    const auto number = live->is_hash() ? std::nullopt : parse_number(live->value());
    if (!number) {
      reply.code = op_code::wrong_type;
      return;
    }
    before = *number;
    meta = live->meta();
  } else {
    meta.expires_at_ms = c.op.expires_at_ms;
  }
  const auto sum = add(before, c.op.delta);
  if (!sum) {
    reply.code = op_code::wrong_type;
    reply.number = before;
    return;
  }
  reply.number = *sum;
  const number_text text{*sum};
  store(c, raw, {.bytes = text.view(), .large = {}}, meta, live != nullptr, reply);
}

void shard::erase(const call& c, op_reply& reply) {
  ++counters_.erases;
  auto* raw = table_.find(c.hash, c.op.key);
  auto* live = raw && !is_expired(*raw, c.now_ms) ? raw : nullptr;
  if (!holds(c.op, live, reply)) return;
  if (!live) {
    describe_record(c, nullptr, reply);
    return;
  }
  remove(c, live, reply);
}

void shard::remove(const call& c, record* live, op_reply& reply) {
  if (!staged_) reserve_to_finish(c, 0);
  log_record logged{
      .op = log_op::erase, .lsn = next_lsn(), .request = c.op.request, .key = c.op.key};
  if (is_of_hash(c.op.kind)) logged.number = reply.number;
  reply.version = 0;
  last_erase_lsn_ = logged.lsn;
  if (staged_) [[unlikely]] // something that has expired stands for nothing
    return stage_write(c, live, {}, {.version = logged.lsn, .expires_at_ms = 1}, logged, true,
                       reply);
  if (!absent_.empty()) [[unlikely]]
    absent_.note_removal(c.op.key, live->version());
  table_.erase(c.hash, live);
  if (memory_taken_ > memory_used() + 4 * budget_.block()) [[unlikely]]
    settle_memory();
  finish_write(c, logged, true, reply);
}

void shard::expire(const call& c, op_reply& reply) {
  ++counters_.other_ops;
  auto* live = find_live(c.hash, c.op.key, c.now_ms);
  if (!holds(c.op, live, reply)) return;
  if (!live) {
    describe_record(c, nullptr, reply);
    return;
  }
  auto meta = live->meta();
  log_record logged{.op = log_op::meta, .request = c.op.request, .key = c.op.key};
  const bool to_log = goes_to_log(c.op);
  if (to_log && meta.unlogged) [[unlikely]] {
    // The log has an older value, or none: this expiry must not come back with that one.
    logged.op = log_op::put;
    if (live->large())
      logged.large = as_bytes(blob_ref::share(live->large()));
    else
      logged.value = c.arena.copy(live->value());
  }
  if (!staged_) {
    if (to_log)
      log_->reserve(c.op.key.size() + logged.value.size(), static_cast<bool>(logged.large));
    if (c.op.request) requests_.reserve();
  }
  meta.expires_at_ms = c.op.expires_at_ms;
  meta.unlogged = !to_log;
  meta.version = next_lsn();
  logged.lsn = meta.version;
  logged.meta = meta;
  reply.version = meta.version;
  reply.expires_at_ms = meta.expires_at_ms;
  if (staged_) [[unlikely]] {
    const new_value same{live->large() ? std::string_view{} : live->value(),
                         blob_ref::share(live->large())};
    return stage_write(c, live, same, meta, logged, true, reply);
  }
  table_.set_meta(c.hash, live, meta);
  finish_write(c, logged, true, reply);
  // Each operation stands on its own: a frame may end behind a large value.
  if (logged.large) [[unlikely]]
    log_->commit();
}

// -- parts of a write
// --------------------------------------------------------------------------------------------------

bool shard::answer_retry(const call& c, op_reply& reply) {
  const auto known = requests_.lookup(c.op.request);
  if (known.state == request_state::fresh) return false;
  if (known.state == request_state::forgotten) {
    reply.code = op_code::outcome_unknown;
    return true;
  }
  reply.code = known.result.code;
  reply.version = known.result.version;
  reply.number = known.result.number;
  if (level_of(c.op) >= durability::sync) reply.durable_at = known.result.lsn;
  return true;
}

bool shard::holds(const operation& op, const record* live, op_reply& reply) const noexcept {
  switch (op.condition) {
  case write_condition::always:
    return true;
  case write_condition::if_absent:
    if (!live) return true;
    reply.code = op_code::already_exists;
    break;
  case write_condition::if_present:
    if (live) return true;
    reply.code = op_code::not_found;
    break;
  case write_condition::if_version:
    if ((live ? live->version() : 0) == op.expected_version) return true;
    reply.code = op_code::version_mismatch;
    break;
  }
  reply.version = live ? live->version() : 0;
  // The answer depends on what was seen, so it waits for that to be durable as a read would.
  if (level_of(op) >= durability::sync) reply.durable_at = live ? live->version() : last_erase_lsn_;
  return false;
}

void shard::store(const call& c, record* existing, const new_value& value, record_meta meta,
                  bool existed, op_reply& reply) {
  const auto value_bytes = value.large ? value.large.view().size() : value.bytes.size();
  if (memory_used() + c.op.key.size() + value_bytes + record_overhead_max > memory_taken_)
      [[unlikely]]
    if (!find_memory(c, existing, value_bytes)) {
      ++counters_.memory_refusals;
      reply.code = op_code::no_space;
      return;
    }
  if (!staged_) reserve_to_finish(c, value.bytes.size());
  meta.unlogged = !goes_to_log(c.op);
  meta.version = next_lsn();
  log_record logged{.op = log_op::put,
                    .lsn = meta.version,
                    .meta = meta,
                    .request = c.op.request,
                    .key = c.op.key,
                    .value = value.bytes};
  if (c.large) {
    logged.compressed = static_cast<bool>(c.large->packed);
    logged.large = logged.compressed ? c.large->packed : c.large->bytes();
  }
  reply.version = meta.version;
  reply.expires_at_ms = meta.expires_at_ms;
  if (staged_) [[unlikely]]
    return stage_write(c, existing, value, meta, logged, existed, reply);
  table_.put(c.hash, c.op.key, existing, value, meta);
  finish_write(c, logged, existed, reply);
}

/// More of the budget for a put; true when there is some, or when it needs none.
[[gnu::noinline]] bool shard::find_memory(const call& c, const record* existing,
                                          std::uint64_t value_bytes) noexcept {
  const auto need = c.op.key.size() + value_bytes + record_overhead_max;
  if (reserve_memory(need)) return true;
  // Not within a transaction: what it replaces is kept until it is settled.
  return !staged_ && existing && value_bytes <= existing->value_size();
}

bool shard::reserve_memory(std::uint64_t bytes) noexcept {
  const auto want = memory_used() + bytes;
  if (want <= memory_taken_) return true;
  const auto missing = want - memory_taken_;
  for (const auto take : {missing + budget_.block(), missing})
    if (budget_.try_take(take)) {
      memory_taken_ += take;
      return true;
    }
  return false;
}

void shard::settle_memory() noexcept {
  const auto used = memory_used();
  if (memory_taken_ < used) {
    budget_.take(used - memory_taken_);
    memory_taken_ = used;
  } else if (memory_taken_ > used + 2 * budget_.block()) {
    const auto surplus = memory_taken_ - used - budget_.block();
    budget_.give_back(surplus);
    memory_taken_ -= surplus;
  }
}

void shard::reserve_to_finish(const call& c, std::uint64_t value_bytes) {
  if (goes_to_log(c.op)) log_->reserve(c.op.key.size() + value_bytes, c.large != nullptr);
  if (c.op.request) requests_.reserve();
}

void shard::finish_write(const call& c, const log_record& logged, bool existed, op_reply& reply) {
  reply.code = op_code::ok;
  if (tap_) [[unlikely]]
    tap_->note(c.hash, logged, c.large ? c.large->bytes().get() : logged.large.get());
  if (goes_to_log(c.op)) {
    ++counters_.log_records;
    log_->append(logged);
    if (level_of(c.op) >= durability::sync) reply.durable_at = logged.lsn;
  }
  if (c.op.request)
    requests_.remember(c.op.request,
                       {.code = op_code::ok,
                        .lsn = logged.lsn,
                        .version = reply.version,
                        .number = reply.number,
                        .existed = existed},
                       time_.now_us());
}

// -- transactions
// -------------------------------------------------------------------------------------------------------

void shard::stage_write(const call& c, record* existing, const new_value& value,
                        const record_meta& meta, log_record logged, bool existed, op_reply& reply) {
  // Logged later, so not from what the caller has lent: from the record, or from a copy of what
  // stands there in another form (a change of fields, an indexed hash).
  const bool in_record =
      logged.op == log_op::put && !value.large && logged.value.size() == value.bytes.size();
  if (!logged.value.empty() && !in_record) logged.value = c.arena.copy(logged.value);
  auto* const now = table_.stage(c.hash, c.op.key, existing, value, meta);
  auto* const plain = c.large ? c.large->bytes().get() : logged.large.get();
  staged_->push_back({.logged = std::move(logged),
                      .hash = c.hash,
                      .plain = plain,
                      .now = now,
                      .replaced = existing,
                      .result = {.code = op_code::ok,
                                 .lsn = 0,
                                 .version = reply.version,
                                 .number = reply.number,
                                 .existed = existed},
                      .to_log = goes_to_log(c.op)});
  auto& w = staged_->back();
  w.logged.key = now->key();
  if (in_record) w.logged.value = now->value();
  w.result.lsn = w.logged.lsn;
  reply.code = op_code::ok;
  if (w.to_log && level_of(c.op) >= durability::sync) reply.durable_at = w.logged.lsn;
}

void shard::reserve_to_settle(const log_transaction* transaction) {
  std::size_t records = 0, bytes = 0, blobs = 0, results = 0, clients = 0;
  std::uint64_t client = 0;
  for (const auto& w : *staged_) {
    if (w.to_log) {
      ++records;
      bytes += w.logged.key.size() + (w.logged.large ? 0 : w.logged.value.size());
      blobs += w.logged.large ? 1 : 0;
    }
    if (!w.logged.request) continue;
    ++results;
    if (std::exchange(client, w.logged.request.client) != client) ++clients;
  }
  if (results != 0) requests_.reserve(results, clients);
  if (records == 0) return;
  if (transaction)
    log_->reserve_part(*transaction, records, bytes, blobs);
  else
    log_->reserve_more(records, bytes, blobs);
}

void shard::settle(const std::shared_ptr<log_transaction>& transaction) noexcept {
  bool logged = false;
  for (const auto& w : *staged_) {
    if (!absent_.empty()) note_removals(w);
    if (tap_) tap_->note(w.hash, w.logged, w.plain);
    if (w.to_log) {
      if (transaction && !logged) log_->begin_part(transaction);
      logged = true;
      ++counters_.log_records;
      log_->append(w.logged);
    }
    if (w.logged.request) requests_.remember(w.logged.request, w.result, time_.now_us());
  }
  if (logged) log_->commit();
}

void shard::note_removals(const staged_write& w) noexcept {
  if (w.logged.op == log_op::erase) absent_.note_removal(w.logged.key, w.replaced->version());
  if (w.cleared)
    absent_.note_removals([&](std::string_view key) -> lsn_t {
      const auto* r = w.cleared->find(table::hash(key), key);
      return r ? r->version() : 0;
    });
}

bool shard::stage_clear(durability level) {
  if (table_.stats().keys == 0) return false;
  if (spares_.empty()) {
    spares_.reserve(spares_made_ + 1);
    spares_.push_back(table_.another());
    ++spares_made_;
  }
  const auto bytes = std::min(memory_used(), memory_taken_);
  const auto lsn = next_lsn();
  auto& w = staged_->emplace_back();
  w.logged.op = log_op::clear;
  w.logged.key = "";
  w.logged.lsn = lsn;
  w.to_log = level > durability::memory && log_;
  w.cleared = std::move(spares_.back());
  w.cleared_bytes = bytes;
  spares_.pop_back();
  table_.swap(*w.cleared);
  memory_taken_ -= bytes;
  last_erase_lsn_ = lsn;
  return true;
}

/// The index is used again, and so is the table itself, by the next clear: other threads may still
/// look at both.
void shard::forget_cleared(std::unique_ptr<table> cleared) noexcept {
  cleared->clear();
  try {
    table_.take_index_of(*cleared);
  } catch (const std::bad_alloc&) { // it keeps it
  }
  spares_.push_back(std::move(cleared));
}

void shard::bury(std::unique_ptr<table> cleared, std::uint64_t bytes) noexcept {
  cleared->clear(); // takes long
  std::lock_guard hold{lock_};
  forget_cleared(std::move(cleared));
  budget_.give_back(bytes);
}

void shard::let_go() noexcept {
  auto& writes = *std::exchange(staged_, nullptr);
  const auto is_clear = [](const staged_write& w) { return w.cleared != nullptr; };
  auto clear = std::find_if(writes.begin(), writes.end(), is_clear);
  for (auto w = writes.begin(); w != writes.end(); ++w) {
    if (w == clear) {
      clear = std::find_if(w + 1, writes.end(), is_clear);
      continue;
    }
    // What was in the table before a clear counts where the clear has put it.
    auto& home = clear == writes.end() ? table_ : *clear->cleared;
    home.settle(w->replaced);
    if (w->logged.op == log_op::erase && home.find(w->hash, w->logged.key) == w->now)
      home.erase(w->hash, w->now);
  }
  if (memory_taken_ > memory_used() + 4 * budget_.block()) settle_memory();
}

void shard::take_back() noexcept {
  auto& writes = *std::exchange(staged_, nullptr);
  for (auto w = writes.rbegin(); w != writes.rend(); ++w) {
    if (w->cleared) {
      table_.swap(*w->cleared);
      memory_taken_ += std::exchange(w->cleared_bytes, 0);
      forget_cleared(std::move(w->cleared));
    } else {
      table_.take_back(w->hash, w->now, w->replaced);
    }
  }
  last_erase_lsn_ = erase_lsn_before_;
}

// -- recovery
// ----------------------------------------------------------------------------------------------------------

void shard::restore(std::string_view key, std::string_view value, const record_meta& meta) {
  const auto hash = table::hash(key);
  auto* existing = table_.find(hash, key);
  if (existing && existing->version() >= meta.version) return;
  const restored_value now{meta.type, value, {}};
  table_.put(hash, key, existing, now.value(), meta);
}

void shard::adopt(std::uint64_t hash, const record& r) {
  const new_value same{r.large() ? std::string_view{} : r.value(), blob_ref::share(r.large())};
  table_.put(hash, r.key(), nullptr, same, r.meta());
}

void shard::drop(std::uint64_t hash, std::string_view key) noexcept {
  if (auto* r = table_.find(hash, key)) table_.erase(hash, r);
}

void shard::replay(const log_record& r, std::uint64_t record_time_us) {
  if (r.op == log_op::nothing) return;
  const auto hash = table::hash(r.key);
  auto* existing = table_.find(hash, r.key);
  // Changes with one LSN come together and in order: a later one is above those before it, and to
  // make all of them again leaves what is there.
  const bool newer = !existing || existing->version() < r.lsn + (r.joint ? 1 : 0);
  const bool existed = existing != nullptr;
  bool changes = newer && (existing || r.op == log_op::put);
  switch (r.op) {
  case log_op::put:
    if (newer) {
      auto meta = r.meta;
      meta.version = r.lsn;
      const restored_value now{meta.type, r.value, r.large};
      table_.put(hash, r.key, existing, now.value(), meta);
    }
    break;
  case log_op::erase:
    if (existing && newer) table_.erase(hash, existing);
    break;
  case log_op::meta:
    if (existing && newer) {
      auto meta = r.meta;
      meta.version = r.lsn;
      table_.set_meta(hash, existing, meta);
    }
    break;
  case log_op::fields_set:
  case log_op::fields_erased:
    // What is not there, or no hash, was erased or replaced after this change and before the
    // checkpoint met it: the log has that behind it.
    changes = changes && existing->is_hash();
    if (changes) replay_fields(hash, existing, r);
    break;
  case log_op::clear:
    return replay_clear(r);
  case log_op::together: // its changes come one by one: each_change()
  case log_op::parts:
  case log_op::nothing:
    return;
  }
  if (tap_ && changes) tap_->note(hash, r, r.large.get());
  if (r.request)
    requests_.remember(r.request,
                       {.code = op_code::ok,
                        .lsn = r.lsn,
                        .version = r.op == log_op::erase ? 0 : r.lsn,
                        .number = number_of(r),
                        .existed = existed},
                       record_time_us);
}

std::uint64_t shard::key_count() const noexcept {
  auto keys = table_.stats().keys;
  if (!staged_) return keys;
  const auto last_clear = std::find_if(staged_->rbegin(), staged_->rend(),
                                       [](const auto& w) { return w.cleared != nullptr; });
  for (auto at = last_clear.base(); at != staged_->end(); ++at) {
    const auto& w = *at; // what is replaced, and what stands for nothing, is counted too
    if (w.replaced) --keys;
    if (w.logged.op == log_op::erase && table_.find(w.hash, w.logged.key) == w.now) --keys;
  }
  return keys;
}

/// What a checkpoint met later is kept.
void shard::replay_clear(const log_record& r) {
  if (tap_) tap_->note(0, {.op = log_op::clear, .lsn = r.lsn}, nullptr);
  const auto above = r.lsn + (r.joint ? 1 : 0);
  std::vector<std::string> keys;
  std::uint64_t cursor = 0;
  do {
    keys.clear();
    cursor = table_.walk(cursor, [&](const record& there) {
      if (there.version() < above) keys.emplace_back(there.key());
    });
    for (const auto& key : keys) {
      const auto hash = table::hash(key);
      table_.erase(hash, table_.find(hash, key));
    }
  } while (cursor != 0);
}

void shard::clear() noexcept {
  table_.clear();
  requests_.clear();
  sweep_cursor_ = 0;
}

// -- upkeep
// ------------------------------------------------------------------------------------------------------------

std::size_t shard::sweep(std::uint64_t now_ms, std::size_t buckets_max) {
  if (table_.stats().expiring_keys == 0) return 0;
  std::size_t removed = 0;
  try {
    sweep_buckets(now_ms, buckets_max, removed);
  } catch (const std::bad_alloc&) { // the rest has its turn next time
  }
  counters_.expired += removed;
  return removed;
}

void shard::sweep_buckets(std::uint64_t now_ms, std::size_t buckets_max, std::size_t& removed) {
  for (std::size_t bucket = 0; bucket < buckets_max; ++bucket) {
    expired_keys_.clear();
    sweep_cursor_ = table_.walk(sweep_cursor_, [&](const record& r) {
      if (is_expired(r, now_ms)) expired_keys_.emplace_back(r.key());
    });
    for (const auto& key : expired_keys_) {
      const auto hash = table::hash(key);
      auto* r = table_.find(hash, key);
      if (log_) log_->reserve(key.size());
      const log_record logged{.op = log_op::erase, .lsn = next_lsn(), .key = key};
      if (!absent_.empty()) absent_.note_removal(key, r->version());
      table_.erase(hash, r);
      last_erase_lsn_ = logged.lsn;
      if (log_) log_->append(logged);
      if (tap_) tap_->note(hash, logged, nullptr);
      ++removed;
    }
    if (sweep_cursor_ == 0) break;
  }
}

} // namespace warp::storage
