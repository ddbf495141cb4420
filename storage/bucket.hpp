#pragma once

#include "storage/racing_read.hpp"

#include <cstddef>
#include <cstdint>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace warp::storage {

class record;

/// What a slot knows of a record's hash: its low 10 bits. Eight are the fingerprint that is
/// compared for all slots of a bucket at once (0 means an empty slot, so 0 counts as 1), two more
/// lie beside the pointer. Position derives from the high bits.
///
/// Words, so that a tag that is kept on the stack is loaded as it was stored: a byte that is loaded
/// as part of a word waits until everything before it is done, and with it the next cache miss.
struct hash_tag {
  std::uint32_t fingerprint; ///< 1 to 255
  std::uint32_t extra;       ///< 0 to 3

  static hash_tag of(std::uint64_t hash) noexcept {
    const auto low = static_cast<std::uint32_t>(hash & 0xff);
    return {low == 0 ? 1 : low, static_cast<std::uint32_t>(hash >> 8 & 3)};
  }
};

/// One cache line of the table: 9 slots of 7 B (1 B fingerprint, 6 B pointer) and one byte that
/// says what lies elsewhere.
///
///     0..8    fingerprints, 0: empty
///     9       outside: bit (fingerprint / 32) is set for each record of this home that does not
///     lie in this bucket 10..27  pointers, bits 32..47 28..63  pointers, bits 0..31; records are
///     aligned to 8 B, so bit 0 says "displaced: home is the previous bucket" and
///             bits 1..2 are hash_tag::extra
///
/// The shard's lock guards it, but prefetching threads read it at any moment without. So every
/// store is atomic (relaxed), and so are the loads of the functions whose name says racing; under
/// the lock plain loads do.
struct alignas(64) bucket {
  static constexpr unsigned slot_count = 9;
  static constexpr unsigned all_slots = (1u << slot_count) - 1;

  std::uint8_t fingerprints[slot_count];
  std::uint8_t outside;
  std::uint16_t pointers_high[slot_count];
  std::uint32_t pointers_low[slot_count];

  /// The bit of `outside` that stands for a fingerprint.
  static std::uint8_t outside_bit(std::uint32_t fingerprint) noexcept {
    return static_cast<std::uint8_t>(1u << (fingerprint >> 5));
  }

  /// Bit i is set where fingerprint i is the given one.
  unsigned match(std::uint32_t fingerprint) const noexcept {
#if defined(__SSE2__)
    return compare(_mm_load_si128(reinterpret_cast<const __m128i*>(this)), fingerprint);
#else
    unsigned mask = 0;
    for (unsigned i = 0; i < slot_count; ++i) mask |= unsigned{fingerprints[i] == fingerprint} << i;
    return mask;
#endif
  }
  unsigned match_racing(std::uint32_t fingerprint) const noexcept {
#if defined(__SSE2__)
    return compare(racing_load<__m128i>(this), fingerprint);
#else
    unsigned mask = 0;
    for (unsigned i = 0; i < slot_count; ++i)
      mask |= unsigned{__atomic_load_n(&fingerprints[i], __ATOMIC_RELAXED) == fingerprint} << i;
    return mask;
#endif
  }
  unsigned empty_slots() const noexcept {
    return match(0);
  }
  unsigned used_slots() const noexcept {
    return empty_slots() ^ all_slots;
  }

  /// Does slot i hold a record with these extra bits, displaced or not as given? Saves most of the
  /// false positives.
  bool suits(unsigned i, hash_tag tag, bool displaced) const noexcept {
    return (pointers_low[i] & 7u) == low_bits(tag, displaced);
  }
  bool suits_racing(unsigned i, hash_tag tag, bool displaced) const noexcept {
    return (__atomic_load_n(&pointers_low[i], __ATOMIC_RELAXED) & 7u) == low_bits(tag, displaced);
  }
  bool displaced(unsigned i) const noexcept {
    return (pointers_low[i] & 1u) != 0;
  }
  hash_tag tag(unsigned i) const noexcept {
    return {fingerprints[i], pointers_low[i] >> 1 & 3u};
  }

  record* pointer(unsigned i) const noexcept {
    return reinterpret_cast<record*>(join(pointers_low[i], pointers_high[i]));
  }
  /// May be torn, when the slot is being written: good for nothing but a prefetch.
  std::uintptr_t address_racing(unsigned i) const noexcept {
    return join(__atomic_load_n(&pointers_low[i], __ATOMIC_RELAXED),
                __atomic_load_n(&pointers_high[i], __ATOMIC_RELAXED));
  }

  void set(unsigned i, hash_tag tag, bool displaced, const record* r) noexcept {
    const auto bits = reinterpret_cast<std::uintptr_t>(r);
    store(pointers_low[i], static_cast<std::uint32_t>(bits) | low_bits(tag, displaced));
    store(pointers_high[i], static_cast<std::uint16_t>(bits >> 32));
    store(fingerprints[i], static_cast<std::uint8_t>(tag.fingerprint));
  }
  void clear(unsigned i) noexcept {
    store(fingerprints[i], std::uint8_t{0});
  }
  void set_outside(unsigned bits) noexcept {
    store(outside, static_cast<std::uint8_t>(bits));
  }
  void clear_all() noexcept {
    for (unsigned i = 0; i < slot_count; ++i) clear(i);
    set_outside(0);
  }

private:
  static std::uint32_t low_bits(hash_tag tag, bool displaced) noexcept {
    return tag.extra << 1 | static_cast<std::uint32_t>(displaced);
  }
  static std::uintptr_t join(std::uint32_t low, std::uint16_t high) noexcept {
    return static_cast<std::uintptr_t>(high) << 32 | (low & ~7u);
  }
  template <class T>
  static void store(T& to, T value) noexcept {
    __atomic_store_n(&to, value, __ATOMIC_RELAXED);
  }
#if defined(__SSE2__)
  static unsigned compare(__m128i line, std::uint32_t fingerprint) noexcept {
    const auto wanted = _mm_set1_epi8(static_cast<char>(fingerprint));
    return static_cast<unsigned>(_mm_movemask_epi8(_mm_cmpeq_epi8(line, wanted))) & all_slots;
  }
#endif
};

static_assert(sizeof(bucket) == 64 && offsetof(bucket, pointers_high) == 10);

} // namespace warp::storage
