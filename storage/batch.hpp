#pragma once

#include "messages/operations.hpp"
#include "storage/blob.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace warp::storage {

/// A large value on its way in: copied once for the table and readers, and once more, smaller, for
/// the log when that pays.
struct large_value {
  blob_ref plain;
  blob_ref packed; ///< a zstd frame of the value; empty: the log takes `plain`
};

/// Copies, and compresses from `compress_min_bytes` on. Takes tens of microseconds and more. Throws
/// std::bad_alloc.
[[nodiscard]] large_value make_large(std::string_view value, std::uint64_t compress_min_bytes);

/// A chunk of a batch on its way to the shards: the hash and shard of each operation, the
/// operations of one shard linked in their order, and large values already copied and compressed,
/// so that nothing of this happens under a shard lock. One per I/O thread, reused: a warmed-up
/// batch of small operations allocates nothing. Not thread-safe.
class batch {
public:
  /// Operations in one chunk: enough for the prefetches to overlap, few enough for their lines to
  /// stay in the first cache.
  static constexpr std::size_t chunk_size = 256;
  static constexpr std::uint16_t none = 0xffff;

  /// Operations of one shard: follow next() from `first` until `none`.
  struct group {
    std::uint32_t shard = 0;
    std::uint16_t first = none, last = none;
    std::uint16_t writes = 0;
  };

  /// Starts a new chunk over shards 0 .. shard_count - 1.
  void begin(std::uint32_t shard_count);

  /// Adds operation i of the chunk (i < chunk_size, ascending).
  void add(std::size_t i, std::uint64_t hash, std::uint32_t shard, bool writes) {
    const auto at = static_cast<std::uint16_t>(i);
    hashes_[i] = hash;
    next_[i] = none;
    auto& m = marks_[shard];
    if (m.stamp != stamp_) {
      m = {.stamp = stamp_, .group = static_cast<std::uint16_t>(groups_.size())};
      groups_.push_back({.shard = shard, .first = at, .last = at, .writes = writes});
      return;
    }
    auto& g = groups_[m.group];
    next_[g.last] = at;
    g.last = at;
    g.writes = static_cast<std::uint16_t>(g.writes + writes);
  }

  /// The value of operation i, prepared.
  void add_large(std::size_t i, large_value value) { large_.push_back({i, std::move(value)}); }

  [[nodiscard]] std::span<const group> groups() const noexcept { return groups_; }
  [[nodiscard]] std::uint64_t hash(std::size_t i) const noexcept { return hashes_[i]; }
  [[nodiscard]] std::uint16_t next(std::size_t i) const noexcept { return next_[i]; }
  [[nodiscard]] const large_value* large(std::size_t i) const noexcept {
    for (const auto& entry : large_)
      if (entry.index == i) return &entry.value;
    return nullptr;
  }
  void forget_large() noexcept { large_.clear(); }

private:
  struct mark {
    std::uint64_t stamp = 0;
    std::uint16_t group = 0;
  };
  struct large_entry {
    std::size_t index;
    large_value value;
  };

  std::array<std::uint64_t, chunk_size> hashes_{};
  std::array<std::uint16_t, chunk_size> next_{};
  std::vector<group> groups_;
  std::vector<mark> marks_; // by shard; counts only with the current stamp, so none is ever reset
  std::uint64_t stamp_ = 0;
  std::vector<large_entry> large_;
};

} // namespace warp::storage
