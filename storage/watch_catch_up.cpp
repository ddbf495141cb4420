// How a watch that is not told of the present gets there: from the log, or from the table.
#include "storage/engine_state.hpp"
#include "storage/hash_view.hpp"
#include "storage/watch_hub.hpp"

#include <algorithm>

namespace warp::storage {

namespace {

/// Buckets of a table that are looked at in one turn.
constexpr int walk_buckets = 128;
/// Steps of one watch before it is the turn of others: frames of the log, or such walks.
constexpr int steps_max = 32;

watch_change_ptr make_change(watch_kind kind, shard_id shard, lsn_t version) {
  auto change = std::make_shared<watch_change>();
  change->kind = kind;
  change->shard = shard;
  change->version = version;
  return change;
}

watch_change_ptr state_of(shard_id shard, const record& r) {
  auto change = std::make_shared<watch_change>();
  change->state = true;
  change->shard = shard;
  change->version = r.version();
  change->expires_at_ms = r.expires_at_ms();
  change->key = r.key();
  change->type = r.type();
  if (auto* large = r.large())
    change->large = blob_ref::share(large);
  else
    change->value = r.value();
  return change;
}

/// The state of an indexed hash, packed where that holds up nobody.
watch_change_ptr as_bytes(const watch_change& indexed) {
  auto change = std::make_shared<watch_change>(indexed);
  change->large = as_bytes(indexed.large);
  return change;
}

bool is_expired(const record& r, std::uint64_t now_ms) noexcept {
  const auto at = r.expires_at_ms();
  return at != 0 && at <= now_ms;
}

} // namespace

// -- what is put aside, and what is told
// ---------------------------------------------------------------------------

bool watch_hub::is_durable(shard_id shard, lsn_t lsn) const noexcept {
  auto* log = from_.shards[shard.value]->log();
  return !log || log->durable(lsn) == durable_state::durable;
}

/// Up to where the log may be read: it is on disk, and may not be taken back.
lsn_t watch_hub::readable(shard_id shard) const {
  auto& source = *from_.shards[shard.value];
  const auto durable = source.log()->durable_lsn();
  if (!from_.origins[shard.value].linked) return durable;
  std::lock_guard hold{source.lock()};
  return std::min(durable, source.told_lsn());
}

void watch_hub::add_pending(const watcher_ptr& w) {
  if (std::exchange(w->pending, true)) return;
  pending_.push_back(w);
}

void watch_hub::tell(const watcher_ptr& w, watch_change_ptr change) {
  if (change->large && change->large.get()->hash()) change = as_bytes(*change);
  w->push(std::move(change));
  events_.fetch_add(1, std::memory_order_relaxed);
  if (!std::exchange(w->told, true)) told_.push_back(w);
}

bool watch_hub::stage(watcher& w, place& p, const watch_change_ptr& change) {
  const auto size = change->bytes();
  if (w.staged_events != 0 &&
      (w.staged_bytes + size > w.limits.bytes || w.staged_events + 1 > w.limits.events)) {
    p.staging = false;
    unstage(w, p);
    return false;
  }
  p.staged.push_back(change);
  w.add_staged(*change);
  return true;
}

void watch_hub::unstage(watcher& w, place& p) noexcept {
  for (const auto& change : p.staged) w.remove_staged(*change);
  p.staged = {};
}

bool watch_hub::drain_carry(const watcher_ptr& w) {
  for (; !w->carry.empty(); w->carry.pop_front()) {
    if (!w->has_room()) return false;
    tell(w, std::move(w->carry.front()));
  }
  return true;
}

/// What is durable by now, of live places. False: something is left.
bool watch_hub::release_staged(const watcher_ptr& w) {
  if (w->staged_events == 0) return true;
  bool all = true;
  for (std::uint32_t i = 0; i < w->places.size(); ++i) {
    auto& p = w->places[i];
    if (p.in != watcher::mode::live || p.staged.empty()) continue;
    const shard_id shard{w->first_shard.value + i};
    std::size_t n = 0;
    for (; n < p.staged.size() && is_durable(shard, p.staged[n]->version) && w->has_room(); ++n) {
      w->remove_staged(*p.staged[n]);
      tell(w, std::move(p.staged[n]));
    }
    p.staged.erase(p.staged.begin(), p.staged.begin() + static_cast<std::ptrdiff_t>(n));
    all = all && p.staged.empty();
  }
  return all;
}

// -- from place to place
// -------------------------------------------------------------------------------------------

void watch_hub::leave_live(watcher& w, place& p) noexcept {
  unstage(w, p);
  p.staging = false;
  w.owes_synced = true;
  if (w.not_live++ == 0) catching_up_.fetch_add(1, std::memory_order_relaxed);
}

void watch_hub::fall_behind(watcher& w, shard_id shard, lsn_t from) {
  auto& p = w.at(shard);
  leave_live(w, p);
  if (!std::exchange(w.told_lagged, true)) {
    lagged_.fetch_add(1, std::memory_order_relaxed);
    w.carry.push_back(make_change(watch_kind::lagged, shard, from));
  }
  p.position = from;
  p.reader.reset();
  p.in = watcher::mode::reading;
}

void watch_hub::ask_for_state(watcher& w, place& p) {
  unstage(w, p);
  p.staging = false;
  p.reader.reset();
  p.in = watcher::mode::starting;
  p.tell_lost = true;
}

/// All up to the position was told, and what came since was put aside.
void watch_hub::go_live(const watcher_ptr& w, place& p) {
  p.reader.reset();
  p.in = watcher::mode::live;
  p.position = std::max(p.position, p.target);
  std::erase_if(p.staged, [&](const watch_change_ptr& change) {
    if (change->version > p.position) return false;
    w->remove_staged(*change);
    return true;
  });
  p.staging = false;
  if (--w->not_live == 0) catching_up_.fetch_sub(1, std::memory_order_relaxed);
  if (w->options.level == watch_level::durable) return; // release_staged()
  const auto staged = std::exchange(p.staged, {});
  for (const auto& change : staged) {
    w->remove_staged(*change);
    p.position = change->version;
    tell(w, change);
  }
}

watch_hub::progress watch_hub::serve(const watcher_ptr& w) {
  if (w->finished()) {
    if (w->not_live != 0) catching_up_.fetch_sub(1, std::memory_order_relaxed);
    w->not_live = 0;
    return progress::done;
  }
  if (!drain_carry(w) || !w->has_room()) return progress::waits;
  // Place by place, until all of them wait or it is the turn of others.
  bool again = false, full = false;
  int steps = 0;
  for (std::size_t n = 0; w->not_live != 0 && n < w->places.size() && !again; ++n) {
    const auto i = w->next_place++ % w->places.size();
    auto& p = w->places[i];
    const shard_id shard{w->first_shard.value + static_cast<std::uint32_t>(i)};
    while (p.in != watcher::mode::live && !full) {
      again = advance(w, shard) == progress::again;
      full = !drain_carry(w);
      if (!again || ++steps == steps_max) break;
    }
    if (p.reader) p.reader->rest(); // it may be long until it is read on
    if (full) return progress::waits;
    again = again && steps == steps_max;
  }
  const bool released = release_staged(w);
  if (again) return progress::again;
  if (w->not_live != 0) return progress::waits;
  if (w->owes_synced) {
    w->owes_synced = w->told_lagged = false;
    tell(w, make_change(watch_kind::synced, w->first_shard, 0));
  }
  return released ? progress::done : progress::waits;
}

watch_hub::progress watch_hub::advance(const watcher_ptr& w, shard_id shard) {
  switch (w->at(shard).in) {
  case watcher::mode::reading:
    return read_log(w, shard);
  case watcher::mode::starting:
    begin_state(*w, shard);
    return progress::again;
  case watcher::mode::settling:
    return settle(*w, shard);
  case watcher::mode::walking:
    return walk(*w, shard);
  case watcher::mode::live:
    break;
  }
  return progress::done;
}

// -- from the log
// --------------------------------------------------------------------------------------------------

watch_change_ptr watch_hub::change_of(shard_id shard, const log_record& r) const {
  auto change = std::make_shared<watch_change>();
  change->kind = kind_of(r.op);
  change->shard = shard;
  change->version = r.lsn;
  if (r.op == log_op::put || r.op == log_op::meta) change->expires_at_ms = r.meta.expires_at_ms;
  change->key = r.key;
  if (r.op == log_op::erase || r.op == log_op::meta) return change;
  if (r.op == log_op::put) change->type = r.meta.type;
  auto whole = r;
  if (!expand(whole, from_.value_bytes_max).ok()) return nullptr;
  if (whole.large)
    change->large = whole.large;
  else
    change->value = whole.value;
  return change;
}

watch_hub::progress watch_hub::read_log(const watcher_ptr& w, shard_id shard) {
  auto& p = w->at(shard);
  if (p.staging && p.position >= p.target) {
    go_live(w, p);
    return progress::again;
  }
  const auto lost = [&] {
    ask_for_state(*w, p);
    return progress::again;
  };
  if (!from_.segments) return lost();
  auto& log = *from_.shards[shard.value]->log();
  if (!p.reader)
    p.reader = std::make_unique<gapless_reader>(*from_.segments, shard, p.position,
                                                from_.origins[shard.value]);
  const bool all_there = p.staging && is_durable(shard, p.target);
  bool untold = false;
  const auto outcome = p.reader->read(readable(shard), [&](const log_record& r) {
    if (r.op == log_op::clear) untold = true; // what is gone is not told key by key
    if (untold || !w->matches(r.key)) return;
    if (auto change = change_of(shard, r))
      w->carry.push_back(std::move(change));
    else
      untold = true;
  });
  p.position = p.reader->position();
  if (untold || outcome == gapless_reader::outcome::lost) return lost();
  if (outcome == gapless_reader::outcome::more) return progress::again;
  if (!p.staging) {
    // What is not on disk yet comes through the tap from here on.
    resume_tap(shard);
    p.staging = true;
    p.target = sides_[shard.value]->seen.load(std::memory_order_relaxed);
    if (p.position < p.target) log.request_sync();
    return progress::again;
  }
  if (p.position >= p.target) return progress::again;
  if (all_there) return lost(); // nothing logged is missing, so something was not logged
  return progress::waits;
}

// -- from the table
// ------------------------------------------------------------------------------------------------

void watch_hub::begin_state(watcher& w, shard_id shard) {
  auto& p = w.at(shard);
  auto& source = *from_.shards[shard.value];
  const bool durable = w.options.level == watch_level::durable;
  const auto now_ms = from_.time->now_ms();
  p.settled.clear();
  resume_tap(shard);
  {
    std::lock_guard hold{source.lock()};
    p.state_at = source.told_lsn();
    if (!w.options.prefix) {
      const auto* r = source.records().find(w.hash, w.options.key);
      if (r && !is_expired(*r, now_ms)) p.settled.push_back(state_of(shard, *r));
    }
  }
  if (std::exchange(p.tell_lost, false)) {
    lost_.fetch_add(1, std::memory_order_relaxed);
    w.carry.push_back(make_change(watch_kind::lost, shard, p.state_at));
  }
  if (!w.options.prefix) {
    if (p.settled.empty()) {
      auto absent = std::make_shared<watch_change>();
      absent->kind = watch_kind::erase;
      absent->state = true;
      absent->shard = shard;
      absent->version = p.state_at;
      absent->key = w.options.key;
      p.settled.push_back(std::move(absent));
    }
    p.settled.push_back(make_change(watch_kind::state_end, shard, as_position(shard, p.state_at)));
  }
  p.position = p.target = p.state_at;
  p.staging = true;
  p.walk_next = w.options.prefix;
  p.walk_at = 0;
  p.settle_at = durable ? p.state_at : 0;
  p.in = watcher::mode::settling;
  if (durable) source.log()->request_sync();
}

watch_hub::progress watch_hub::settle(watcher& w, shard_id shard) {
  auto& p = w.at(shard);
  if (p.settle_at != 0 && !is_durable(shard, p.settle_at)) return progress::waits;
  for (auto& change : std::exchange(p.settled, {})) w.carry.push_back(std::move(change));
  p.in = std::exchange(p.walk_next, false) ? watcher::mode::walking : watcher::mode::reading;
  return progress::again;
}

watch_hub::progress watch_hub::walk(watcher& w, shard_id shard) {
  auto& p = w.at(shard);
  auto& source = *from_.shards[shard.value];
  const auto now_ms = from_.time->now_ms();
  lsn_t end = 0;
  for (int bucket = 0; bucket < walk_buckets; ++bucket) {
    std::lock_guard hold{source.lock()};
    p.walk_at = source.records().walk(p.walk_at, [&](const record& r) {
      // What changed since the walk began was put aside, and comes after it. Of a hash that may be
      // some fields only, which change nothing when they come once more.
      if ((r.version() <= p.state_at || r.is_hash()) && !is_expired(r, now_ms) &&
          w.matches(r.key()))
        w.carry.push_back(state_of(shard, r));
    });
    if (p.walk_at != 0) continue;
    end = source.told_lsn();
    break;
  }
  if (p.walk_at != 0) return progress::again;
  // That a record is not there must be durable too before it is told.
  p.settled.push_back(make_change(watch_kind::state_end, shard, as_position(shard, p.state_at)));
  p.settle_at = w.options.level == watch_level::durable ? end : 0;
  p.in = watcher::mode::settling;
  if (p.settle_at != 0) source.log()->request_sync();
  return progress::again;
}

} // namespace warp::storage
