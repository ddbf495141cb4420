#include "storage/watch_hub.hpp"

#include "storage/engine_state.hpp"
#include "storage/no_memory.hpp"
#include "storage/slot.hpp"

#include <algorithm>
#include <fmt/format.h>

namespace warp::storage {

namespace {

/// Caught changes that nobody took, after which it is asked why.
constexpr std::size_t unwanted_max = 1'000;
/// Memory of all taps together, and the least and the most of one.
constexpr std::size_t taps_bytes = 16u << 20, tap_bytes_min = 64 * 1024, tap_bytes_max = 1u << 20;

/// Do all keys that match live in one shard? Those of a prefix do where its hash tag is complete.
bool names_shard(const watch_options& o) {
  return !o.prefix || hash_tag(o.key).size() != o.key.size();
}

watch_change_ptr change_from(shard_id shard, const tapped_changes& caught,
                             const tapped_changes::change& c) {
  auto change = std::make_shared<watch_change>();
  const std::string_view bytes = caught.bytes;
  change->kind = c.kind;
  change->shard = shard;
  change->version = c.version;
  change->expires_at_ms = c.expires_at_ms;
  change->key = bytes.substr(c.offset, c.key_size);
  change->value = bytes.substr(c.offset + c.key_size, c.value_size);
  change->large = c.large;
  change->type = c.type;
  return change;
}

} // namespace

watch_hub::watch_hub(watch_sources from)
    : from_(std::move(from)),
      tap_bytes_(std::clamp(taps_bytes / from_.shards.size(), tap_bytes_min, tap_bytes_max)),
      gate_(static_cast<std::uint32_t>(from_.shards.size()), ~std::uint64_t{0}, ~std::uint64_t{0},
            std::make_shared<std::atomic<bool>>(false)),
      sides_(from_.shards.size()) {
  memory_->max = from_.memory_max;
  to_narrow_.reserve(sides_.size()); // so that remove() cannot fail
}

watch_hub::~watch_hub() = default;

// -- who watches what
// ----------------------------------------------------------------------------------------------

op_status watch_hub::check(const watch_options& o) const {
  const auto bad = [](std::string why) {
    return op_status{op_code::invalid_argument, std::move(why)};
  };
  if (o.key.size() > key_size_max || (!o.prefix && o.key.empty()))
    return bad(fmt::format("a key to watch has 1 to {} bytes, not {}", key_size_max, o.key.size()));
  if (o.level == watch_level::durable && !from_.segments)
    return {op_code::no_replicas, "a universe in memory only makes nothing durable: watch it "
                                  "without asking for that"};
  if (o.start != watch_start::after) return {};
  if (o.prefix && !o.token)
    return bad("a prefix is watched on from a token: the versions of different shards do not "
               "compare");
  const auto count = static_cast<std::uint32_t>(from_.shards.size());
  if (o.token &&
      (o.token->positions.size() != (names_shard(o) ? 1 : count) ||
       o.token->first_shard != (names_shard(o) ? storage::shard_of(o.key, count) : shard_id{0})))
    return bad("this token is of a watch of something else, or of a universe with another number "
               "of shards");
  return {};
}

op_result<std::unique_ptr<watch>> watch_hub::add(watch_options options, watch_limits limits,
                                                 std::function<void()> on_ready,
                                                 const std::shared_ptr<watch_hub>& self) {
  if (auto status = check(options); !status.ok()) return status;
  const auto count = static_cast<std::uint32_t>(from_.shards.size());
  const auto hash = table::hash(options.key);
  auto w =
      std::make_shared<watcher>(std::move(options), limits, hash, memory_, std::move(on_ready));
  const auto& o = w->options;
  if (names_shard(o)) w->first_shard = storage::shard_of(o.key, count);
  w->places.resize(names_shard(o) ? 1 : count);
  watch_token start{from_.universe, w->first_shard, {}};
  {
    std::lock_guard guard{mutex_};
    if (closed_) return op_status{op_code::shutting_down, "the universe is stopping"};
    if (all_.size() >= from_.watches_max)
      return op_status{op_code::overloaded,
                       fmt::format("there are {} watches, the most that are allowed", all_.size())};
    std::uint32_t entered = 0;
    try {
      enter_all(w, start, entered);
    } catch (const std::bad_alloc&) {
      forget(w, entered);
      if (w->not_live != 0) catching_up_.fetch_sub(1, std::memory_order_relaxed);
      throw;
    }
  }
  gate_.request_round();
  try {
    return std::make_unique<watch>(w, self, std::move(start));
  } catch (const std::bad_alloc&) {
    remove(w);
    throw;
  }
}

/// With the hub's lock. `entered`: the number of shards that were begun with.
void watch_hub::enter_all(const watcher_ptr& w, watch_token& start, std::uint32_t& entered) {
  const auto& o = w->options;
  if (o.prefix) {
    auto& same = prefixes_[o.key.size()][w->hash];
    const bool known = std::any_of(same.begin(), same.end(),
                                   [&](auto& other) { return other->options.key == o.key; });
    same.push_back(w);
    if (!known) build_prefixes();
  }
  for (std::uint32_t i = 0; i < w->places.size(); ++i) {
    const shard_id shard{w->first_shard.value + i};
    auto& slot = sides_[shard.value];
    if (!slot) slot = std::make_unique<side>();
    ++slot->watchers;
    ++entered;
    start.positions.push_back(enter(*w, shard, w));
  }
  if (w->not_live == 0) { // the first event of all, whatever changes from here on
    w->owes_synced = false;
    auto synced = std::make_shared<watch_change>();
    synced->kind = watch_kind::synced;
    w->push(std::move(synced));
    events_.fetch_add(1, std::memory_order_relaxed);
  }
  all_.insert(w);
  added_.push_back(w);
}

/// Opens the shard to the watch: from now on its changes come through the tap. Returns the position
/// that the watch begins with.
lsn_t watch_hub::enter(watcher& w, shard_id shard, const watcher_ptr& owner) {
  auto& at = *sides_[shard.value];
  auto& source = *from_.shards[shard.value];
  const bool new_tap = !at.tap;
  if (new_tap) {
    at.tap = std::make_unique<watch_tap>(gate_, shard.value, tap_bytes_);
    at.tap->prefixes = prefix_sieve_;
  }
  try {
    if (!w.options.prefix) {
      at.keys[w.hash].push_back(owner);
      if (new_tap || !at.tap->keys.has_room()) build_keys(at, shard);
    }
  } catch (const std::bad_alloc&) {
    if (new_tap) at.tap.reset(); // nobody draws from it yet
    throw;
  }
  std::lock_guard hold{source.lock()};
  if (!w.options.prefix) at.tap->keys.add(w.hash);
  const auto now = source.told_lsn();
  if (new_tap) source.watch_with(at.tap.get());
  if (new_tap || at.paused) {
    at.seen.store(now, std::memory_order_relaxed);
    at.paused = at.tap->paused = false;
  }
  const auto* r = w.options.prefix ? nullptr : source.records().find(w.hash, w.options.key);
  return place_at_start(w, shard, now, r);
}

lsn_t watch_hub::place_at_start(watcher& w, shard_id shard, lsn_t now, const record* r) {
  const auto& o = w.options;
  auto& p = w.at(shard);
  p.position = now;
  const auto here = as_position(shard, now);
  const auto from_state = [&](bool lost) {
    p.in = watcher::mode::starting;
    p.tell_lost = lost;
    if (w.not_live++ == 0) catching_up_.fetch_add(1, std::memory_order_relaxed);
    return watch_token::unknown;
  };
  if (o.start == watch_start::now) return here;
  if (o.start == watch_start::state) return from_state(false);

  if (o.token && o.token->universe != from_.universe) return from_state(true);
  const auto after = o.token ? o.token->positions[shard.value - w.first_shard.value] : o.version;
  const auto origin = from_.segments ? from_.origins[shard.value] : log_origin{};
  if (after == now || after == here) return here;
  // Of another universe, not told yet, or taken back by a crash.
  if (after > now || (after > origin.last && after < origin.next)) return from_state(true);
  // One key that has not changed since needs no look into the log.
  const bool known = after >= origin.next || was_logged(shard, after);
  if (!o.prefix && known && r && r->version() <= after) return here;
  if (!from_.segments) return from_state(true);
  p.position = after;
  p.in = watcher::mode::reading;
  if (w.not_live++ == 0) catching_up_.fetch_add(1, std::memory_order_relaxed);
  return after;
}

/// What a watch that has seen all up to `lsn` keeps as its position. The LSNs that a start skips
/// may have been seen before a crash took them back, so they are none.
lsn_t watch_hub::as_position(shard_id shard, lsn_t lsn) const noexcept {
  if (!from_.segments) return lsn;
  const auto& origin = from_.origins[shard.value];
  return lsn + 1 == origin.next && origin.exact ? origin.last : lsn;
}

/// Is the LSN one that the log has? If not, a crash may have taken it back.
bool watch_hub::was_logged(shard_id shard, lsn_t lsn) const {
  if (!from_.segments) return false;
  bool found = false;
  from_.segments->with_segments([&](const auto& segments) {
    for (const auto& segment : segments)
      for (const auto& run : segment->runs)
        found = found || (run.shard == shard && run.records != 0 && run.first <= lsn &&
                          lsn <= std::min(run.last, run.keep));
  });
  return found;
}

/// A sieve for the keys that are watched in this shard now, with room for as many again.
void watch_hub::build_keys(side& at, shard_id shard) {
  hash_sieve keys{std::max<std::size_t>(16, 2 * at.keys.size())};
  for (const auto& [hash, watchers] : at.keys) keys.add(hash);
  std::lock_guard hold{from_.shards[shard.value]->lock()};
  std::swap(at.tap->keys, keys);
}

void watch_hub::build_prefixes() {
  std::vector<std::string> all;
  for (const auto& [length, by_hash] : prefixes_)
    for (const auto& [hash, watchers] : by_hash)
      for (const auto& w : watchers)
        if (all.empty() || all.back() != w->options.key) all.push_back(w->options.key);
  prefix_sieve_ = all.empty() ? nullptr : std::make_shared<const prefix_sieve>(all);
  for (std::size_t i = 0; i < sides_.size(); ++i) {
    if (!sides_[i] || !sides_[i]->tap) continue;
    auto sieve = prefix_sieve_; // the old one is freed without the shard's lock
    std::lock_guard hold{from_.shards[i]->lock()};
    std::swap(sides_[i]->tap->prefixes, sieve);
  }
}

void watch_hub::remove(const watcher_ptr& w) {
  {
    std::lock_guard guard{mutex_};
    if (closed_ || !all_.contains(w)) return;
    forget(w, static_cast<std::uint32_t>(w->places.size()));
  }
  gate_.request_round(); // for the taps
}

/// It was entered in the first `entered` of its shards. With the hub's lock.
void watch_hub::forget(const watcher_ptr& w, std::uint32_t entered) noexcept {
  const auto& o = w->options;
  all_.erase(w);
  const auto take_from = [&](auto& by_hash) {
    const auto found = by_hash.find(w->hash);
    if (found == by_hash.end()) return;
    std::erase(found->second, w);
    if (found->second.empty()) by_hash.erase(found);
  };
  if (const auto same = prefixes_.find(o.key.size()); o.prefix && same != prefixes_.end()) {
    take_from(same->second);
    if (same->second.empty()) prefixes_.erase(same);
    prefixes_too_wide_ = true;
  }
  for (std::uint32_t i = 0; i < entered; ++i) {
    const auto shard = w->first_shard.value + i;
    auto& at = *sides_[shard];
    --at.watchers;
    if (!o.prefix) take_from(at.keys);
    if (!std::exchange(at.too_wide, true)) to_narrow_.push_back(shard);
  }
}

void watch_hub::narrow_taps() {
  while (!to_narrow_.empty()) {
    const auto shard = to_narrow_.back();
    auto& at = *sides_[shard];
    if (at.watchers != 0 && at.tap) build_keys(at, shard_id{shard});
    to_narrow_.pop_back();
    at.too_wide = false;
    if (at.watchers != 0 || !at.tap) continue;
    {
      std::lock_guard hold{from_.shards[shard]->lock()};
      from_.shards[shard]->watch_with(nullptr);
    }
    at.tap.reset();
    at.paused = false;
    at.feed.reset();
    at.feeding = false;
  }
  if (prefixes_too_wide_) build_prefixes();
  prefixes_too_wide_ = false;
}

void watch_hub::close() {
  std::unordered_set<watcher_ptr> all;
  {
    std::lock_guard guard{mutex_};
    if (std::exchange(closed_, true)) return;
    for (std::size_t i = 0; i < sides_.size(); ++i) {
      if (!sides_[i] || !sides_[i]->tap) continue;
      std::lock_guard hold{from_.shards[i]->lock()};
      from_.shards[i]->watch_with(nullptr);
    }
    all.swap(all_);
  }
  for (const auto& w : all) {
    w->finish(say(op_code::shutting_down, "the universe was stopped"), false);
    try {
      w->announce();
    } catch (const std::bad_alloc&) { // whoever takes finds the end by itself
    }
  }
}

// -- the live way
// --------------------------------------------------------------------------------------------------

void watch_hub::on_round() noexcept {
  std::atomic_thread_fence(std::memory_order_seq_cst);
  if (wants_rounds_.load(std::memory_order_relaxed)) gate_.request_round();
}

void watch_hub::run(std::chrono::milliseconds wait_max) {
  std::lock_guard turn{pump_};
  try {
    take_turn(wait_max);
  } catch (const std::bad_alloc&) {
    end_all();
  }
}

/// Memory ran out somewhere in a turn, and nobody knows what was not told: so all watches end, with
/// the reason, and new ones find everything as if there had been none.
void watch_hub::end_all() noexcept {
  std::lock_guard guard{mutex_};
  if (closed_) return;
  for (const auto& w : all_) {
    if (w->not_live != 0) catching_up_.fetch_sub(1, std::memory_order_relaxed);
    w->not_live = 0;
    w->pending = w->told = false;
    w->finish(no_memory("watch"), false);
  }
  pending_.clear();
  added_.clear();
  told_.clear();
  feeding_.clear();
  for (std::size_t i = 0; i < sides_.size(); ++i) {
    if (!sides_[i] || !sides_[i]->tap) continue;
    auto& at = *sides_[i];
    at.caught.clear();
    at.feed.reset();
    at.feeding = false;
    std::lock_guard hold{from_.shards[i]->lock()};
    at.tap->take(at.caught);
    at.seen.store(from_.shards[i]->told_lsn(), std::memory_order_relaxed);
  }
  again_ = announce_all_ = true;
}

void watch_hub::take_turn(std::chrono::milliseconds wait_max) {
  if (announce_all_) {
    std::lock_guard guard{mutex_};
    for (const auto& w : all_) w->announce();
    announce_all_ = false;
  }
  if (!std::exchange(again_, false))
    gate_.wait_urgent(std::chrono::steady_clock::now() + wait_max, true);
  gate_.begin_round();
  // Announced first and looked second, as a round advances first and looks second.
  wants_rounds_.store(true, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);

  for (std::size_t word = 0; word < gate_.dirty_words(); ++word)
    for (auto marks = gate_.take_dirty(word); marks != 0; marks &= marks - 1)
      drain_tap(static_cast<std::uint32_t>(word * 64 +
                                           static_cast<std::size_t>(std::countr_zero(marks))));
  for (const auto shard : std::exchange(feeding_, {}))
    if (feed(shard)) again_ = true;

  {
    std::lock_guard guard{mutex_};
    if (closed_) return;
    for (const auto& w : std::exchange(added_, {})) {
      add_pending(w);
      if (!std::exchange(w->told, true)) told_.push_back(w);
    }
    narrow_taps();
  }
  for (auto& w : std::exchange(pending_, {})) {
    w->pending = false;
    const auto left = serve(w);
    if (left != progress::done) add_pending(w);
    again_ = again_ || left == progress::again;
  }
  wants_rounds_.store(!pending_.empty() || !feeding_.empty(), std::memory_order_relaxed);
  for (const auto& w : std::exchange(told_, {})) {
    w->told = false;
    w->announce();
  }
}

void watch_hub::drain_tap(std::uint32_t shard) {
  auto& source = *from_.shards[shard];
  std::lock_guard guard{mutex_};
  if (closed_ || !sides_[shard] || !sides_[shard]->tap || sides_[shard]->feeding) return;
  auto& at = *sides_[shard];
  at.caught.clear();
  lsn_t now = 0;
  {
    std::lock_guard hold{source.lock()};
    at.tap->take(at.caught);
    now = source.told_lsn();
  }
  for (const auto& c : at.caught.changes)
    static_cast<void>(deal(shard_id{shard}, c.hash,
                           std::string_view{at.caught.bytes}.substr(c.offset, c.key_size),
                           c.version, [&] { return change_from(shard_id{shard}, at.caught, c); }));
  if (at.unwanted > unwanted_max) pause_tap(shard_id{shard});
  if (at.paused) return;
  if (!at.caught.overflowed) {
    at.seen.store(now, std::memory_order_relaxed);
    return;
  }
  overflows_.fetch_add(1, std::memory_order_relaxed);
  at.seen.store(std::max(at.caught.complete_to, at.seen.load(std::memory_order_relaxed)),
                std::memory_order_relaxed);
  at.feeding = true;
  at.feed_to = now;
  at.feed.reset();
  feeding_.push_back(shard);
}

/// What a tap could not hold, from the log. True: there is more to do at once.
bool watch_hub::feed(std::uint32_t shard) {
  auto& source = *from_.shards[shard];
  auto& at = *sides_[shard];
  {
    std::lock_guard guard{mutex_};
    if (closed_ || !at.tap || !at.feeding) return false;
  }
  bool damaged = !from_.segments; // or not to be told change by change
  if (from_.segments && !at.feed) {
    at.feed = std::make_unique<gapless_reader>(*from_.segments, shard_id{shard},
                                               at.seen.load(std::memory_order_relaxed),
                                               from_.origins[shard]);
    source.log()->request_sync();
  }
  auto outcome = gapless_reader::outcome::lost;
  if (!damaged) {
    const bool all_there = is_durable(shard_id{shard}, at.feed_to);
    const auto up_to = std::min(readable(shard_id{shard}), at.feed_to);
    outcome = at.feed->read(up_to, [&](const log_record& r) {
      std::lock_guard guard{mutex_};
      // What a clear has removed is not told key by key.
      damaged = damaged || r.op == log_op::clear ||
                !deal(shard_id{shard}, table::hash(r.key), r.key, r.lsn,
                      [&] { return change_of(shard_id{shard}, r); });
    });
    if (outcome == gapless_reader::outcome::tail && at.feed->position() < at.feed_to) {
      if (!all_there) {
        at.feed->rest();
        feeding_.push_back(shard);
        return false;
      }
      outcome = gapless_reader::outcome::lost; // nothing logged is missing, so it was not logged
    }
  }
  if (outcome == gapless_reader::outcome::more && !damaged) {
    feeding_.push_back(shard);
    return true;
  }
  if (outcome == gapless_reader::outcome::lost || damaged)
    lose_all(shard_id{shard}, at.seen.load(std::memory_order_relaxed));
  at.seen.store(at.feed_to, std::memory_order_relaxed);
  at.feeding = false;
  at.feed.reset();
  drain_tap(shard); // its mark may have been taken meanwhile
  return true;
}

/// Hands a change to all who want it. False: it could not be made.
template <class Make>
bool watch_hub::deal(shard_id shard, std::uint64_t hash, std::string_view key, lsn_t version,
                     Make make) {
  auto& at = *sides_[shard.value];
  watch_change_ptr change;
  const auto hand_to = [&](const watcher_ptr& w) {
    const auto& p = w->at(shard);
    if (version <= p.position || (p.in != watcher::mode::live && !p.staging) || !w->matches(key))
      return true;
    if (!change) change = make();
    if (!change) return false;
    at.unwanted = 0;
    offer(w, shard, change);
    return true;
  };
  bool made = true;
  ++at.unwanted;
  if (const auto same = at.keys.find(hash); same != at.keys.end())
    for (const auto& w : same->second) made = made && hand_to(w);
  for (const auto& [length, by_hash] : prefixes_) {
    if (length > key.size()) break;
    const auto same = by_hash.find(table::hash(key.substr(0, length)));
    if (same == by_hash.end()) continue;
    for (const auto& w : same->second)
      if (shard.value - w->first_shard.value < w->places.size()) made = made && hand_to(w);
  }
  return made;
}

/// Nobody has taken anything for long: if all who watch are behind, their shard need not be
/// listened to. With the hub's lock held.
void watch_hub::pause_tap(shard_id shard) {
  auto& at = *sides_[shard.value];
  at.unwanted = 0;
  const auto listens = [&](const watcher_ptr& w) {
    if (shard.value - w->first_shard.value >= w->places.size()) return false;
    const auto& p = w->at(shard);
    return p.in == watcher::mode::live || p.staging;
  };
  for (const auto& [hash, watchers] : at.keys)
    if (std::any_of(watchers.begin(), watchers.end(), listens)) return;
  for (const auto& [length, by_hash] : prefixes_)
    for (const auto& [hash, watchers] : by_hash)
      if (std::any_of(watchers.begin(), watchers.end(), listens)) return;
  std::lock_guard hold{from_.shards[shard.value]->lock()};
  at.paused = at.tap->paused = true;
}

/// Somebody is about to become live: every change from here on is caught again.
void watch_hub::resume_tap(shard_id shard) {
  auto& at = *sides_[shard.value];
  auto& source = *from_.shards[shard.value];
  std::lock_guard guard{mutex_};
  if (!at.paused || !at.tap) return;
  std::lock_guard hold{source.lock()};
  at.paused = at.tap->paused = false;
  at.seen.store(source.told_lsn(), std::memory_order_relaxed);
}

void watch_hub::offer(const watcher_ptr& w, shard_id shard, const watch_change_ptr& change) {
  auto& p = w->at(shard);
  if (p.in != watcher::mode::live) {
    if (p.staging) static_cast<void>(stage(*w, p, change));
    return;
  }
  if (w->options.level == watch_level::durable) {
    const auto from = p.staged.empty() ? change->version - 1 : p.staged.front()->version - 1;
    if (!stage(*w, p, change)) fall_behind(*w, shard, from);
    return add_pending(w);
  }
  if (w->has_room()) return tell(w, change);
  fall_behind(*w, shard, change->version - 1);
  add_pending(w);
}

/// The changes of the shard between `seen` and what its tap holds cannot be told.
void watch_hub::lose_all(shard_id shard, lsn_t seen) {
  std::lock_guard guard{mutex_};
  for (const auto& [hash, watchers] : sides_[shard.value]->keys)
    for (const auto& w : watchers) lose(w, shard, seen);
  for (const auto& [length, by_hash] : prefixes_)
    for (const auto& [hash, watchers] : by_hash)
      for (const auto& w : watchers)
        if (shard.value - w->first_shard.value < w->places.size()) lose(w, shard, seen);
}

void watch_hub::lose(const watcher_ptr& w, shard_id shard, lsn_t seen) {
  auto& p = w->at(shard);
  if (p.in != watcher::mode::live) {
    // It reads on by itself; what was put aside is not all any more.
    p.staging = false;
    return unstage(*w, p);
  }
  if (!w->options.prefix) {
    auto& source = *from_.shards[shard.value];
    std::lock_guard hold{source.lock()};
    const auto* r = source.records().find(w->hash, w->options.key);
    if (r && r->version() <= seen) return; // not changed since
  }
  leave_live(*w, p);
  ask_for_state(*w, p);
  add_pending(w);
}

// -- observation
// ---------------------------------------------------------------------------------------------------

watch_stats watch_hub::stats() const {
  watch_stats out{.watches = 0,
                  .catching_up = catching_up_.load(std::memory_order_relaxed),
                  .queued_bytes = memory_->held.load(std::memory_order_relaxed),
                  .events = events_.load(std::memory_order_relaxed),
                  .lagged = lagged_.load(std::memory_order_relaxed),
                  .lost = lost_.load(std::memory_order_relaxed),
                  .overflows = overflows_.load(std::memory_order_relaxed)};
  std::lock_guard guard{mutex_};
  out.watches = all_.size();
  return out;
}

} // namespace warp::storage
