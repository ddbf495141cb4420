#include "storage/table.hpp"

#include "storage/key_hash.hpp"
#include "storage/table_memory.hpp"

#include <algorithm>
#include <array>

namespace warp::storage {

namespace {

using entry = std::atomic<std::uintptr_t>;
using directory_word::depth_of;
using directory_word::join;
using directory_word::pointer_of;

/// Deepest segment: 40 + 6 bits of position leave the tag's 10 bits alone. The directory stays far
/// below that: see double_directory().
constexpr unsigned depth_max = 40;

/// What every empty table points to: one directory, one segment, never written.
struct alignas(64) emptiness {
  entry directory[2];
  segment nothing;
  emptiness() { directory[0] = directory[1] = join(&nothing, 0); }
};
emptiness& empty() noexcept {
  static emptiness shared;
  return shared;
}

/// Does a hash belong to the upper half of a segment of this depth?
std::size_t upper_half(std::uint64_t hash, unsigned depth) noexcept {
  return hash << depth >> 63;
}

} // namespace

/// Makes a directory start at a cache line.
struct alignas(64) table::directory_line {
  entry entries[64 / sizeof(entry)];
};

table::table(std::shared_ptr<table_memory> memory, hash_function hasher)
    : root_(join(empty().directory, 1)), hasher_(hasher), memory_(std::move(memory)),
      records_(memory_->records, stats_) {}

table::table() : table(std::make_shared<table_memory>()) {}

table::~table() {
  clear();
}

std::uint64_t table::hash(std::string_view key) noexcept {
  return key_hash(key);
}

record* table::find(std::uint64_t hash, std::string_view key) const noexcept {
  const auto word = word_of(hash);
  return pointer_of<const segment>(word)->find(segment::home_of(hash, depth_of(word)),
                                               hash_tag::of(hash), key);
}

record* table::put(std::uint64_t hash, std::string_view key, record* existing,
                   const new_value& value, const record_meta& meta) {
  if (existing != nullptr) {
    if (records_.overwrite(existing, value, meta)) return existing;
    return move(hash, key, existing, value, meta);
  }
  return stage(hash, key, nullptr, value, meta);
}

record* table::stage(std::uint64_t hash, std::string_view key, record* existing,
                     const new_value& value, const record_meta& meta) {
  record* const r = records_.make(key, value, meta);
  if (existing != nullptr) {
    replace(hash, existing, r);
    return r;
  }
  try {
    insert_into_index(hash, r);
  } catch (...) {
    records_.free(r);
    throw;
  }
  return r;
}

void table::settle(record* replaced) noexcept {
  if (replaced != nullptr) records_.free(replaced);
}

void table::take_back(std::uint64_t hash, record* now, record* replaced) noexcept {
  if (replaced == nullptr) return erase(hash, now);
  replace(hash, now, replaced);
  records_.free(now);
}

record* table::set_meta(std::uint64_t hash, record* existing, const record_meta& meta) {
  if (records_.overwrite_meta(existing, meta)) return existing;
  const new_value same{existing->large() ? std::string_view{} : existing->value(),
                       blob_ref::share(existing->large())};
  const auto heat = existing->heat();
  record* const r = move(hash, existing->key(), existing, same, meta);
  r->set_heat(heat);
  return r;
}

/// A new record in the place of `existing`.
record* table::move(std::uint64_t hash, std::string_view key, record* existing,
                    const new_value& value, const record_meta& meta) {
  record* const r = stage(hash, key, existing, value, meta);
  records_.free(existing);
  return r;
}

void table::replace(std::uint64_t hash, const record* old, record* now) noexcept {
  const auto word = word_of(hash);
  pointer_of<segment>(word)->replace(segment::home_of(hash, depth_of(word)), hash_tag::of(hash),
                                     old, now);
}

void table::erase(std::uint64_t hash, record* existing) noexcept {
  const auto word = word_of(hash);
  pointer_of<segment>(word)->remove(segment::home_of(hash, depth_of(word)), hash_tag::of(hash),
                                    existing);
  records_.free(existing);
}

void table::clear() noexcept {
  root_.store(join(empty().directory, 1), std::memory_order_release);
  for (std::size_t i = 0; i < segments_used_; ++i) {
    auto& s = *segments_[i];
    s.for_each([](record* r) { __builtin_prefetch(r); });
    s.for_each([this](record* r) { records_.free(r); });
    s.clear();
    stats_.index_bytes -= s.stash_bytes();
    s.release_stash_if_empty();
  }
  segments_used_ = 0;
}

void table::swap(table& other) noexcept {
  const auto root = root_.load(std::memory_order_relaxed);
  root_.store(other.root_.load(std::memory_order_relaxed), std::memory_order_release);
  other.root_.store(root, std::memory_order_release);
  directories_.swap(other.directories_);
  segments_.swap(other.segments_);
  std::swap(segments_used_, other.segments_used_);
  std::swap(stats_, other.stats_);
  records_.swap(other.records_);
}

void table::take_index_of(table& other) {
  segments_.insert(segments_.end(), other.segments_.begin(), other.segments_.end());
  const auto bytes = other.segments_.size() * sizeof(segment);
  stats_.index_bytes += bytes;
  other.stats_.index_bytes -= bytes;
  other.segments_.clear();
}

std::uint64_t table::walk_bucket(std::uint64_t cursor, void (*visit)(void*, const record&),
                                 void* context) const {
  if (segments_used_ == 0) return 0;
  const auto word = word_of(cursor);
  const auto& at = *pointer_of<const segment>(word);
  const auto home = segment::home_of(cursor, depth_of(word));
  at.for_each_of(home, [](const record* r) { __builtin_prefetch(r); });
  at.for_each_of(home, [=](const record* r) { visit(context, *r); });
  const auto range_bits =
      64 - segment::bucket_bits - depth_of(word); // wraps to 0 after the last one
  return ((cursor >> range_bits) + 1) << range_bits;
}

void table::insert_into_index(std::uint64_t hash, record* r) {
  if (segments_used_ == 0) add_first_segment();
  const auto tag = hash_tag::of(hash);
  for (;;) {
    const auto word = word_of(hash);
    const auto home = segment::home_of(hash, depth_of(word));
    auto& owner = *pointer_of<segment>(word);
    if (owner.insert(home, tag, r, stats_.index_bytes)) [[likely]]
      return;
    if (!split(hash)) return owner.insert_anyway(home, tag, r, stats_.index_bytes);
  }
}

void table::add_first_segment() {
  auto* const entries = directory_of(1);
  segment* const first = spare_segment();
  ++segments_used_;
  for (int i = 0; i < 2; ++i) entries[i].store(join(first, 0), std::memory_order_release);
  root_.store(join(entries, 1), std::memory_order_release);
}

/// The directory of a depth, allocated when it is first needed and reused after clear().
std::atomic<std::uintptr_t>* table::directory_of(unsigned depth) {
  if (directories_.size() < depth) {
    const auto lines = std::max<std::size_t>((sizeof(entry) << depth) / sizeof(directory_line), 1);
    directories_.push_back(std::make_unique<directory_line[]>(lines));
    stats_.index_bytes += lines * sizeof(directory_line);
  }
  return directories_[depth - 1][0].entries;
}

/// An empty segment: one that clear() left over, or a new one. It is in use when segments_used_ is
/// raised.
segment* table::spare_segment() {
  if (segments_used_ == segments_.size()) {
    if (segments_.size() == segments_.capacity()) segments_.reserve(2 * segments_.size() + 1);
    segments_.push_back(new (memory_->segments.allocate()) segment);
    stats_.index_bytes += sizeof(segment);
  }
  return segments_[segments_used_];
}

/// Doubles the directory; false where it would take much more room than the segments, because one
/// long prefix holds most hashes. Random hashes never come near that limit.
bool table::double_directory() {
  const auto root = root_.load(std::memory_order_relaxed);
  const auto depth = depth_of(root);
  if (std::size_t{2} << depth > 16 * segments_used_ + 64) return false;
  const auto* const old = pointer_of<const entry>(root);
  auto* const now = directory_of(depth + 1);
  for (std::size_t i = 0; i < std::size_t{1} << depth; ++i) {
    const auto word = old[i].load(std::memory_order_relaxed);
    now[2 * i].store(word, std::memory_order_release);
    now[2 * i + 1].store(word, std::memory_order_release);
  }
  root_.store(join(now, depth + 1), std::memory_order_release);
  return true;
}

/// Splits the segment of this hash: it keeps the lower half of its range, a new one gets the upper
/// half. False if it cannot be split. Throws std::bad_alloc, and then no record has moved.
bool table::split(std::uint64_t hash) {
  const auto word = word_of(hash);
  const auto depth = depth_of(word);
  segment* const lower = pointer_of<segment>(word);
  if (depth == depth_max) return false;
  if (depth == depth_of(root_.load(std::memory_order_relaxed)) && !double_directory()) return false;
  segment* const upper = spare_segment();
  const std::array halves{lower, upper};

  struct moving {
    std::uint64_t hash;
    record* pointer;
  };
  std::vector<moving> all;
  all.reserve(segment::slot_count + segment::stash_max);
  lower->for_each([&all](record* r) { all.push_back({0, r}); });
  std::array<std::array<std::size_t, segment::bucket_count>, 2> homes{};
  constexpr std::size_t ahead =
      16; // records on their way from memory: about as many as a core can wait for
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i + ahead < all.size()) __builtin_prefetch(all[i + ahead].pointer);
    all[i].hash = hasher_(all[i].pointer->key());
    ++homes[upper_half(all[i].hash, depth)][segment::home_of(all[i].hash, depth + 1)];
  }
  // From here on nothing may fail. No more go to a stash than their home buckets cannot hold: a
  // record that is displaced into a bucket leaves room for it in its own.
  for (std::size_t half = 0; half < 2; ++half) {
    std::size_t excess = 0;
    for (const auto count : homes[half])
      excess += count > bucket::slot_count ? count - bucket::slot_count : 0;
    const auto before = halves[half]->stash_bytes();
    halves[half]->reserve_stash(excess);
    stats_.index_bytes += halves[half]->stash_bytes() - before;
  }
  lower->clear();
  for (const auto& m : all)
    halves[upper_half(m.hash, depth)]->insert_anyway(
        segment::home_of(m.hash, depth + 1), hash_tag::of(m.hash), m.pointer, stats_.index_bytes);
  for (auto* half : halves) {
    stats_.index_bytes -= half->stash_bytes();
    half->release_stash_if_empty();
    stats_.index_bytes += half->stash_bytes();
  }
  ++segments_used_;
  point_at_halves(hash, depth, lower, upper);
  return true;
}

/// Lets the directory's entries of the range that `lower` had alone lead to both.
void table::point_at_halves(std::uint64_t hash, unsigned depth, const segment* lower,
                            const segment* upper) noexcept {
  const auto root = root_.load(std::memory_order_relaxed);
  auto* const entries = pointer_of<entry>(root);
  const auto count = std::size_t{1} << (depth_of(root) - depth); // 2 at least
  const auto first = (hash >> (64 - depth_of(root))) & ~(count - 1);
  for (std::size_t i = 0; i < count; ++i)
    entries[first + i].store(join(i < count / 2 ? lower : upper, depth + 1),
                             std::memory_order_release);
}

} // namespace warp::storage
