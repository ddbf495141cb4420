#pragma once

#include "storage/bucket.hpp"
#include "storage/record.hpp"

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace warp::storage {

/// How a search without the lock ended.
enum class candidate_search {
  found,      ///< the visitor said so
  absent,     ///< there is nothing more
  incomplete, ///< what is left can only be looked at under the lock
};

/// A contiguous range of hashes: 64 buckets of 9 slots, bucket i for the i-th 64th of the range,
/// and a stash. A record lies in its home bucket, in the one after it (the last one's is the
/// first), or in the stash; a bit in the home bucket says whether the latter two need a look, so
/// that a miss touches one cache line as a rule.
///
/// A segment is full when a record finds no place. With 576 slots and 32 stash entries that happens
/// at 565 records on average and hardly ever below 520 (random hashes). At 488 records 436 lie at
/// home, 44 next to it and 8 in the stash.
///
/// Guarded by the shard's lock, but for prefetch_bucket(), prefetch_record() and candidates(),
/// which any thread may call at any moment while the segment exists. The stash is never touched
/// without the lock.
class segment {
public:
  static constexpr unsigned bucket_bits = 6;
  static constexpr unsigned bucket_count = 1u << bucket_bits;
  static constexpr unsigned slot_count = bucket_count * bucket::slot_count;
  static constexpr std::size_t stash_max = 32;

  /// Home bucket in a segment whose records share the upper `depth` bits of their hash.
  static unsigned home_of(std::uint64_t hash, unsigned depth) noexcept {
    return static_cast<unsigned>(hash << depth >> (64 - bucket_bits));
  }

  void prefetch_bucket(unsigned home) const noexcept { __builtin_prefetch(&buckets_[home]); }
  void prefetch_record(unsigned home, hash_tag tag) const noexcept {
    static_cast<void>(visit_candidates(home, tag, [](std::uintptr_t address) {
      __builtin_prefetch(reinterpret_cast<const void*>(address));
      __builtin_prefetch(reinterpret_cast<const void*>(address + 64));
      return true;
    }));
  }
  /// The address of the first record at home that may have a key of this tag, or 0; may be torn.
  [[nodiscard]] std::uintptr_t likely_record(unsigned home, hash_tag tag) const noexcept {
    const bucket* own = &buckets_[home];
    asm("" : "+r"(own)); // one base for all that follows instead of sums anew
    const auto mask = own->match_racing(tag.fingerprint);
    if (mask == 0) return 0;
    const auto i = lowest(mask);
    return own->suits_racing(i, tag, false) ? own->address_racing(i) : 0;
  }
  /// Calls see(address) for the records that may have a key of this tag until that returns true.
  /// Addresses may be torn where a writer is at work.
  template <class See>
  [[gnu::always_inline]] candidate_search visit_candidates(unsigned home, hash_tag tag,
                                                           See&& see) const noexcept {
    const auto& own = buckets_[home];
    if (visit_matches(own, tag, false, see)) return candidate_search::found;
    if ((__atomic_load_n(&own.outside, __ATOMIC_RELAXED) & bucket::outside_bit(tag.fingerprint)) ==
        0) [[likely]]
      return candidate_search::absent;
    if (visit_matches(buckets_[after(home)], tag, true, see)) return candidate_search::found;
    return candidate_search::incomplete; // the stash
  }

  [[nodiscard]] record* find(unsigned home, hash_tag tag, std::string_view key) const noexcept;

  /// Places a record that is not there yet; false, and nothing changed, if there is no room. Throws
  /// std::bad_alloc likewise. Adds what the stash grows by to `index_bytes`.
  [[nodiscard]] bool insert(unsigned home, hash_tag tag, record* r, std::uint64_t& index_bytes);
  /// Places a record in any case: the stash grows beyond its limit where it must. Throws only if
  /// the stash has to grow.
  void insert_anyway(unsigned home, hash_tag tag, record* r, std::uint64_t& index_bytes);
  /// Puts `now` where `old` is. `old` is there.
  void replace(unsigned home, hash_tag tag, const record* old, record* now) noexcept;
  /// Takes the record out. It is there.
  void remove(unsigned home, hash_tag tag, const record* r) noexcept;
  /// Takes all records out and keeps the stash's memory.
  void clear() noexcept;

  /// Room for this many entries in the stash. Throws std::bad_alloc.
  void reserve_stash(std::size_t entries) { stash_.reserve(entries); }
  void release_stash_if_empty() noexcept {
    if (stash_.empty()) std::vector<stash_entry>{}.swap(stash_);
  }
  [[nodiscard]] std::size_t stash_bytes() const noexcept {
    return stash_.capacity() * sizeof(stash_entry);
  }

  /// Calls f(record*) for the records of one home bucket, or of all; f must not change the segment.
  template <class F>
  void for_each_of(unsigned home, F&& f) const {
    const auto& own = buckets_[home];
    for (auto mask = own.used_slots(); mask != 0; mask &= mask - 1)
      if (const auto i = lowest(mask); !own.displaced(i)) f(own.pointer(i));
    if (own.outside == 0) return;
    const auto& next = buckets_[after(home)];
    for (auto mask = next.used_slots(); mask != 0; mask &= mask - 1)
      if (const auto i = lowest(mask); next.displaced(i)) f(next.pointer(i));
    for (const auto& entry : stash_)
      if (entry.home() == home) f(entry.pointer());
  }
  template <class F>
  void for_each(F&& f) const {
    for (const auto& b : buckets_)
      for (auto mask = b.used_slots(); mask != 0; mask &= mask - 1) f(b.pointer(lowest(mask)));
    for (const auto& entry : stash_) f(entry.pointer());
  }

private:
  /// Pointer, home and tag in 8 bytes; the lower three bits of the pointer are free.
  class stash_entry {
  public:
    stash_entry(unsigned home, hash_tag tag, const record* r) noexcept
        : bits_(reinterpret_cast<std::uintptr_t>(r) | key_of(home, tag) << 48) {}
    [[nodiscard]] record* pointer() const noexcept {
      return reinterpret_cast<record*>(bits_ & 0xffff'ffff'ffffu);
    }
    [[nodiscard]] unsigned home() const noexcept { return static_cast<unsigned>(bits_ >> 58); }
    [[nodiscard]] hash_tag tag() const noexcept {
      return {static_cast<std::uint32_t>(bits_ >> 48 & 0xff),
              static_cast<std::uint32_t>(bits_ >> 56 & 3)};
    }
    [[nodiscard]] bool is(unsigned home, hash_tag tag) const noexcept {
      return bits_ >> 48 == key_of(home, tag);
    }

  private:
    static std::uint64_t key_of(unsigned home, hash_tag tag) noexcept {
      return std::uint64_t{home} << 10 | std::uint64_t{tag.extra} << 8 | tag.fingerprint;
    }
    std::uint64_t bits_;
  };

  static unsigned lowest(unsigned mask) noexcept {
    return static_cast<unsigned>(__builtin_ctz(mask));
  }
  static unsigned after(unsigned home) noexcept { return (home + 1) % bucket_count; }
  static unsigned before(unsigned home) noexcept {
    return (home + bucket_count - 1) % bucket_count;
  }

  template <class See>
  [[gnu::always_inline]] static bool visit_matches(const bucket& b, hash_tag tag, bool displaced,
                                                   See&& see) noexcept {
    for (auto mask = b.match_racing(tag.fingerprint); mask != 0; mask &= mask - 1) {
      const auto i = lowest(mask);
      if (b.suits_racing(i, tag, displaced) && see(b.address_racing(i))) return true;
    }
    return false;
  }

  record* find_outside(unsigned home, hash_tag tag, std::string_view key) const noexcept;
  bool insert_into_buckets(unsigned home, hash_tag tag, record* r) noexcept;
  void insert_into_stash(unsigned home, hash_tag tag, record* r, std::uint64_t& index_bytes);
  bool make_room(unsigned home, hash_tag tag, record* r) noexcept;
  void add_outside(unsigned home, hash_tag tag) noexcept;
  void recount_outside(unsigned home) noexcept;
  void pull_from_stash(unsigned home, unsigned slot) noexcept;

  std::array<bucket, bucket_count> buckets_{};
  std::vector<stash_entry> stash_;
};

} // namespace warp::storage
