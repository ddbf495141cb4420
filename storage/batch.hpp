#pragma once

#include "messages/operations.hpp"
#include "storage/blob.hpp"
#include "storage/reply.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace warp::storage {

/// A large value on its way in: copied once for the table and readers, and once more, smaller, for
/// the log when that pays.
struct large_value {
  blob_ref plain;  ///< for the table; of a hash an indexed one
  blob_ref packed; ///< a zstd frame of the bytes; empty: the log takes bytes()
  blob_ref pairs;  ///< of a hash: its bytes

  /// The value as whoever asks for bytes has it.
  [[nodiscard]] const blob_ref& bytes() const noexcept { return pairs ? pairs : plain; }
};

/// Copies, and compresses from `compress_min_bytes` on. Takes tens of microseconds and more. A hash
/// that is malformed stays bytes: whoever takes it looks. Throws std::bad_alloc.
[[nodiscard]] large_value make_large(std::string_view value, std::uint64_t compress_min_bytes,
                                     value_type type = value_type::bytes);

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

  /// How many operations ahead cache lines are asked for: about as many as a core can wait for.
  static constexpr std::size_t ahead = 12;
  /// The same for all lines of long records.
  static constexpr std::size_t ahead_if_long = 3;

  /// Operations of one shard.
  struct group {
    std::uint32_t shard = 0;
    std::uint16_t first = none, last = none; ///< of a list; see close()
    std::uint16_t count = 0, writes = 0;
  };

  /// Starts a new chunk over shards 0 .. shard_count - 1. Throws std::bad_alloc, once warm not.
  void begin(std::uint32_t shard_count);

  /// Notes where operation i goes, when no groups are needed.
  void set(std::size_t i, std::uint64_t hash, std::uint32_t shard) noexcept {
    hashes_[i] = hash;
    shards_[i] = shard;
  }

  /// Are values long enough for it to pay that all their lines are asked for? As those of the last
  /// chunk of reads were.
  [[nodiscard]] bool expects_long() const noexcept { return long_values_; }
  void learn(std::span<const op_reply> replies) noexcept {
    const auto some = replies.first(std::min<std::size_t>(replies.size(), 8));
    std::size_t bytes = 0;
    for (const auto& r : some) bytes += r.value.size();
    long_values_ = bytes > 128 * some.size();
  }

  /// Adds operation i of the chunk (i < chunk_size, ascending).
  void add(std::size_t i, std::uint64_t hash, std::uint32_t shard, bool writes) {
    const auto at = static_cast<std::uint16_t>(i);
    set(i, hash, shard);
    next_[i] = none;
    auto& m = marks_[shard];
    if (m.stamp != stamp_) {
      m = {.stamp = stamp_, .group = static_cast<std::uint16_t>(groups_.size())};
      groups_.push_back({.shard = shard, .first = at, .last = at, .count = 1, .writes = writes});
      return;
    }
    auto& g = groups_[m.group];
    next_[g.last] = at;
    g.last = at;
    ++g.count;
    g.writes = static_cast<std::uint16_t>(g.writes + writes);
  }

  /// Lays out order() when all are added.
  void close() noexcept {
    ordered_ = 0;
    for (const auto& g : groups_)
      for (auto i = g.first; i != none; i = next_[i]) order_[ordered_++] = i;
  }

  /// The value of operation i, prepared.
  void add_large(std::size_t i, large_value value) { large_.push_back({i, std::move(value)}); }

  [[nodiscard]] std::span<const group> groups() const noexcept { return groups_; }
  /// The operations, group after group, those of a group in their own order.
  [[nodiscard]] std::span<const std::uint16_t> order() const noexcept {
    return {order_.data(), ordered_};
  }
  [[nodiscard]] std::uint64_t hash(std::size_t i) const noexcept { return hashes_[i]; }
  [[nodiscard]] std::span<const std::uint64_t> hashes() const noexcept { return hashes_; }
  [[nodiscard]] std::uint32_t shard(std::size_t i) const noexcept { return shards_[i]; }
  [[nodiscard]] const large_value* large(std::size_t i) const noexcept {
    if (large_.empty()) [[likely]]
      return nullptr;
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
  std::array<std::uint32_t, chunk_size> shards_{};
  std::array<std::uint16_t, chunk_size> next_{}, order_{};
  std::size_t ordered_ = 0;
  bool long_values_ = false;
  std::vector<group> groups_;
  std::vector<mark> marks_; // by shard; counts only with the current stamp, so none is ever reset
  std::uint64_t stamp_ = 0;
  std::vector<large_entry> large_;
};

} // namespace warp::storage
