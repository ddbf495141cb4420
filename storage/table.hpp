#pragma once

#include "storage/indexed_hash.hpp"
#include "storage/record.hpp"
#include "storage/record_store.hpp"
#include "storage/segment.hpp"
#include "storage/table_stats.hpp"

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <type_traits>
#include <vector>

namespace warp::storage {

struct table_memory;

/// A pointer to a cache line and a depth (a number of leading bits of a hash, below 64) in one
/// word.
namespace directory_word {
template <class T>
std::uintptr_t join(const T* pointer, unsigned depth) noexcept {
  return reinterpret_cast<std::uintptr_t>(pointer) | depth;
}
inline unsigned depth_of(std::uintptr_t word) noexcept {
  return static_cast<unsigned>(word & 63);
}
template <class T>
T* pointer_of(std::uintptr_t word) noexcept {
  return reinterpret_cast<T*>(word & ~std::uintptr_t{63});
}
} // namespace directory_word

/// The hash table of one shard: extendible hashing over segments of 64 cache-line buckets (see
/// segment.hpp). The upper bits of the hash index a directory of segments, the next six the home
/// bucket, so that position follows hash order; the lower ten tell records of one bucket apart. A
/// full segment splits in two, which moves about 560 records (some 20 us); nothing else is ever
/// rehashed. An empty table has no segment.
///
/// Where splitting would not help (many hashes with one long prefix) the segment's stash grows
/// instead: slow, never wrong.
///
/// Everything but hash(), the two prefetch functions and visit_candidates() needs the shard's lock.
/// What these read without it (directory and segments) is freed only with the table: directories
/// and segments that are not used any more wait for reuse.
class table {
public:
  using hash_function = std::uint64_t (*)(std::string_view key);

  /// A table that shares `memory` with others: the usual case. It keeps it alive. `hasher` is
  /// what the hashes given to all functions were made with; tests hand in a bad one.
  explicit table(std::shared_ptr<table_memory> memory, hash_function hasher = &table::hash);
  /// A table with memory of its own.
  table();
  ~table();
  table(const table&) = delete;
  table& operator=(const table&) = delete;

  /// The table's own hash of a key (XXH3, 64 bits). Position in hash order, home bucket and
  /// fingerprint derive from it.
  static std::uint64_t hash(std::string_view key) noexcept;

  /// First pass of a batch, without the lock, from any thread: brings the home bucket's cache line.
  void prefetch_bucket(std::uint64_t hash) const noexcept {
    const auto [at, home] = home_of(hash);
    at->prefetch_bucket(home);
  }
  /// Second pass, likewise: brings the record whose fingerprint matches, if any. Never dereferences
  /// a record.
  void prefetch_record(std::uint64_t hash) const noexcept {
    const auto [at, home] = home_of(hash);
    at->prefetch_record(home, hash_tag::of(hash));
  }
  /// Without the lock, from any thread: the address of the first record of the key's home bucket
  /// that may be the one, or 0. See visit_candidates().
  [[nodiscard]] std::uintptr_t likely_record(std::uint64_t hash) const noexcept {
    const auto [at, home] = home_of(hash);
    return at->likely_record(home, hash_tag::of(hash));
  }
  /// Without the lock, from any thread: calls see(address) for each place where the key's record
  /// may be until that returns true. The addresses are those of records only if no writer was at
  /// work meanwhile.
  template <class See>
  [[nodiscard, gnu::always_inline]] candidate_search visit_candidates(std::uint64_t hash,
                                                                      See&& see) const noexcept {
    const auto [at, home] = home_of(hash);
    return at->visit_candidates(home, hash_tag::of(hash), see);
  }

  /// The record of the key, or null. Valid until the next call that changes the table.
  [[nodiscard]] record* find(std::uint64_t hash, std::string_view key) const noexcept;

  /// Inserts or replaces value and meta as a whole; in place where the record's allocation fits.
  /// `existing` is what find() just returned for this key (null: absent). `key` and `value` may lie
  /// in `existing`. Throws std::bad_alloc and then has changed nothing.
  record* put(std::uint64_t hash, std::string_view key, record* existing, const new_value& value,
              const record_meta& meta);

  /// Replaces the meta only. The record may move when it gains or loses an expiry; std::bad_alloc
  /// then, as in put().
  record* set_meta(std::uint64_t hash, record* existing, const record_meta& meta);

  /// Changes the indexed hash of a record, to which nobody else has a reference, in place: calls
  /// change(indexed_hash&), and writes the meta, which has an expiry or not as before. What
  /// `change` throws is passed on, with the meta as it was.
  template <class Change>
  void change_hash(record* existing, const record_meta& meta, Change&& change);

  /// As put(), but what it replaces is neither changed nor freed: it is the caller's until
  /// settle() or take_back(). So a put can be taken back without memory.
  record* stage(std::uint64_t hash, std::string_view key, record* existing, const new_value& value,
                const record_meta& meta);
  /// Frees what stage() has replaced (null: nothing).
  void settle(record* replaced) noexcept;
  /// As it was before stage() made `now` in place of `replaced` (null: of nothing). Of several the
  /// last one first.
  void take_back(std::uint64_t hash, record* now, record* replaced) noexcept;

  /// Removes what find() just returned for this key.
  void erase(std::uint64_t hash, record* existing) noexcept;

  /// Removes everything; prefetches by other threads stay safe. The records' memory is given back,
  /// the index waits for reuse.
  void clear() noexcept;

  /// An empty one that shares this one's memory. Throws std::bad_alloc.
  [[nodiscard]] std::unique_ptr<table> another() const {
    return std::make_unique<table>(memory_, hasher_);
  }
  /// Exchanges everything with a table made by another(), in bounded time. What other threads read
  /// without the lock stays readable while both tables are there.
  void swap(table& other) noexcept;
  /// Takes over the index of an empty table made by another(), for reuse. Throws std::bad_alloc,
  /// and has done nothing then.
  void take_index_of(table& other);

  /// Walks the table in hash order: calls visit(const record&) for the records of the home bucket
  /// at position `cursor` and returns the cursor of the next one; 0 when the walk is over (0 is
  /// also where it starts). Every record that is present for the whole walk is visited at least
  /// once, whatever is inserted, erased, displaced or split between the calls. `visit` must not
  /// change the table. A call visits about nine records of a full table.
  template <class Visitor>
  std::uint64_t walk(std::uint64_t cursor, Visitor&& visit) const {
    using callee = std::remove_reference_t<Visitor>;
    return walk_bucket(
        cursor, [](void* context, const record& r) { (*static_cast<callee*>(context))(r); },
        const_cast<std::remove_const_t<callee>*>(&visit));
  }

  [[nodiscard]] const table_stats& stats() const noexcept { return stats_; }

private:
  struct directory_line;

  struct place {
    const segment* at;
    unsigned home;
  };

  /// The directory's word for a hash: its segment and that segment's depth. Where it is read
  /// without the lock, the acquire loads pair with the release stores that publish a directory or a
  /// segment: what they lead to is initialised. It may be an old one, and costs a useless prefetch
  /// then.
  std::uintptr_t word_of(std::uint64_t hash) const noexcept {
    const auto root = root_.load(std::memory_order_acquire);
    return directory_word::pointer_of<const std::atomic<std::uintptr_t>>(
               root)[hash >> (64 - directory_word::depth_of(root))]
        .load(std::memory_order_acquire);
  }
  place home_of(std::uint64_t hash) const noexcept {
    const auto word = word_of(hash);
    return {directory_word::pointer_of<const segment>(word),
            segment::home_of(hash, directory_word::depth_of(word))};
  }
  std::uint64_t walk_bucket(std::uint64_t cursor, void (*visit)(void*, const record&),
                            void* context) const;
  record* move(std::uint64_t hash, std::string_view key, record* existing, const new_value& value,
               const record_meta& meta);
  void replace(std::uint64_t hash, const record* old, record* now) noexcept;
  void insert_into_index(std::uint64_t hash, record* r);
  void add_first_segment();
  bool split(std::uint64_t hash);
  bool double_directory();
  std::atomic<std::uintptr_t>* directory_of(unsigned depth);
  segment* spare_segment();
  void point_at_halves(std::uint64_t hash, unsigned depth, const segment* lower,
                       const segment* upper) noexcept;

  /// The directory's entries and its depth in one word, and in each entry a segment and its depth
  /// (the number of leading hash bits that its records share): both pointers are aligned to 64 B
  /// and a depth is below 64.
  alignas(64) std::atomic<std::uintptr_t> root_;
  hash_function hasher_;
  std::vector<std::unique_ptr<directory_line[]>> directories_; ///< one of each depth, from 1 on
  std::shared_ptr<table_memory> memory_;
  std::vector<segment*> segments_; ///< those in use first
  std::size_t segments_used_ = 0;

  alignas(64) table_stats stats_; ///< away from what prefetching threads read
  record_store records_;
};

template <class Change>
void table::change_hash(record* existing, const record_meta& meta, Change&& change) {
  struct counting {
    record_store& records;
    const record* r;
    counting(record_store& s, const record* changed) noexcept : records(s), r(changed) {
      records.forget_size(r);
    }
    ~counting() { records.count_size(r); }
    counting(const counting&) = delete;
  };
  {
    const counting around{records_, existing};
    change(*existing->large()->hash());
  }
  static_cast<void>(records_.overwrite_meta(existing, meta));
}

} // namespace warp::storage
