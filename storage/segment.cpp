#include "storage/segment.hpp"

#include "storage/small_bytes.hpp"

namespace warp::storage {

record* segment::find(unsigned home, hash_tag tag, std::string_view key) const noexcept {
  const auto& own = buckets_[home];
  for (auto mask = own.match(tag.fingerprint); mask != 0; mask &= mask - 1) {
    const auto i = lowest(mask);
    if (!own.suits(i, tag, false)) continue;
    if (auto* r = own.pointer(i); equal_keys(r->key(), key)) [[likely]]
      return r;
  }
  if ((own.outside & bucket::outside_bit(tag.fingerprint)) == 0) [[likely]]
    return nullptr;
  return find_outside(home, tag, key);
}

record* segment::find_outside(unsigned home, hash_tag tag, std::string_view key) const noexcept {
  const auto& next = buckets_[after(home)];
  for (auto mask = next.match(tag.fingerprint); mask != 0; mask &= mask - 1) {
    const auto i = lowest(mask);
    if (!next.suits(i, tag, true)) continue;
    if (auto* r = next.pointer(i); r->key() == key) return r;
  }
  for (const auto& entry : stash_)
    if (entry.is(home, tag) && entry.pointer()->key() == key) return entry.pointer();
  return nullptr;
}

void segment::add_outside(unsigned home, hash_tag tag) noexcept {
  auto& own = buckets_[home];
  own.set_outside(own.outside | bucket::outside_bit(tag.fingerprint));
}

void segment::recount_outside(unsigned home) noexcept {
  unsigned bits = 0;
  const auto& next = buckets_[after(home)];
  for (auto mask = next.used_slots(); mask != 0; mask &= mask - 1)
    if (const auto i = lowest(mask); next.displaced(i))
      bits |= bucket::outside_bit(next.fingerprints[i]);
  for (const auto& entry : stash_)
    if (entry.home() == home) bits |= bucket::outside_bit(entry.tag().fingerprint);
  buckets_[home].set_outside(bits);
}

bool segment::insert_into_buckets(unsigned home, hash_tag tag, record* r) noexcept {
  auto& own = buckets_[home];
  if (const auto empty = own.empty_slots(); empty != 0) [[likely]] {
    own.set(lowest(empty), tag, false, r);
    return true;
  }
  auto& next = buckets_[after(home)];
  if (const auto empty = next.empty_slots(); empty != 0) {
    next.set(lowest(empty), tag, true, r);
    add_outside(home, tag);
    return true;
  }
  return make_room(home, tag, r);
}

/// Both buckets are full: moves one of the next bucket's own records one further, or one that was
/// displaced into the home bucket back to its own.
bool segment::make_room(unsigned home, hash_tag tag, record* r) noexcept {
  const auto next_number = after(home);
  auto& next = buckets_[next_number];
  auto& next_but_one = buckets_[after(next_number)];
  if (const auto empty = next_but_one.empty_slots(); empty != 0)
    for (unsigned i = 0; i < bucket::slot_count; ++i) {
      if (next.displaced(i)) continue;
      next_but_one.set(lowest(empty), next.tag(i), true, next.pointer(i));
      add_outside(next_number, next.tag(i));
      next.set(i, tag, true, r);
      add_outside(home, tag);
      return true;
    }
  auto& own = buckets_[home];
  auto& previous = buckets_[before(home)];
  if (const auto empty = previous.empty_slots(); empty != 0)
    for (unsigned i = 0; i < bucket::slot_count; ++i) {
      if (!own.displaced(i)) continue;
      previous.set(lowest(empty), own.tag(i), false, own.pointer(i));
      own.set(i, tag, false, r);
      recount_outside(before(home));
      return true;
    }
  return false;
}

bool segment::insert(unsigned home, hash_tag tag, record* r, std::uint64_t& index_bytes) {
  if (insert_into_buckets(home, tag, r)) return true;
  if (stash_.size() >= stash_max) return false;
  insert_into_stash(home, tag, r, index_bytes);
  return true;
}

void segment::insert_anyway(unsigned home, hash_tag tag, record* r, std::uint64_t& index_bytes) {
  if (!insert_into_buckets(home, tag, r)) insert_into_stash(home, tag, r, index_bytes);
}

void segment::insert_into_stash(unsigned home, hash_tag tag, record* r,
                                std::uint64_t& index_bytes) {
  const auto before = stash_bytes();
  stash_.emplace_back(home, tag, r);
  index_bytes += stash_bytes() - before;
  add_outside(home, tag);
}

void segment::replace(unsigned home, hash_tag tag, const record* old, record* now) noexcept {
  for (const bool displaced : {false, true}) {
    auto& b = buckets_[displaced ? after(home) : home];
    for (auto mask = b.match(tag.fingerprint); mask != 0; mask &= mask - 1)
      if (const auto i = lowest(mask); b.pointer(i) == old) return b.set(i, tag, displaced, now);
  }
  for (auto& entry : stash_)
    if (entry.pointer() == old) {
      entry = stash_entry(home, tag, now);
      return;
    }
}

void segment::remove(unsigned home, hash_tag tag, const record* r) noexcept {
  auto& own = buckets_[home];
  for (auto mask = own.match(tag.fingerprint); mask != 0; mask &= mask - 1)
    if (const auto i = lowest(mask); own.pointer(i) == r) {
      own.clear(i);
      if (own.outside != 0) pull_from_stash(home, i);
      return;
    }
  auto& next = buckets_[after(home)];
  for (auto mask = next.match(tag.fingerprint); mask != 0; mask &= mask - 1)
    if (const auto i = lowest(mask); next.pointer(i) == r) {
      next.clear(i);
      return recount_outside(home);
    }
  for (auto& entry : stash_)
    if (entry.pointer() == r) {
      entry = stash_.back();
      stash_.pop_back();
      return recount_outside(home);
    }
}

/// A slot at home has become free: a record of that home leaves the stash, which would fill up
/// otherwise under inserts and erases that keep the number of records.
void segment::pull_from_stash(unsigned home, unsigned slot) noexcept {
  for (auto& entry : stash_) {
    if (entry.home() != home) continue;
    buckets_[home].set(slot, entry.tag(), false, entry.pointer());
    entry = stash_.back();
    stash_.pop_back();
    return recount_outside(home);
  }
}

void segment::clear() noexcept {
  for (auto& b : buckets_) b.clear_all();
  stash_.clear();
}

} // namespace warp::storage
