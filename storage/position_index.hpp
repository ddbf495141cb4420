#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace warp::storage {

/// A hash index over elements that live in somebody's array: it knows their positions, the owner
/// knows how to hash and compare them. Linear probing at half load; erasing shifts back, so there
/// are no tombstones. Not thread-safe.
class position_index {
public:
  static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

  /// The position for which match(position) holds, or none.
  template <class Match>
  [[nodiscard]] std::uint32_t find(std::uint64_t hash, Match&& match) const noexcept {
    if (places_.empty()) return none;
    for (auto i = hash & mask();; i = (i + 1) & mask())
      if (places_[i] == none || match(places_[i])) return places_[i];
  }

  /// Makes room for `count` positions, so that insert() up to there can't throw. hash_of(position)
  /// is the hash of an element.
  template <class HashOf>
  void reserve(std::size_t count, HashOf&& hash_of) {
    if (2 * count <= places_.size()) return;
    std::size_t size = places_.empty() ? 16 : places_.size();
    while (size < 2 * count) size *= 2;
    std::vector<std::uint32_t> old(size, none);
    old.swap(places_);
    for (const auto position : old)
      if (position != none) insert(hash_of(position), position);
  }

  /// Adds a position that is not there, within what was reserved.
  void insert(std::uint64_t hash, std::uint32_t position) noexcept {
    auto i = hash & mask();
    while (places_[i] != none) i = (i + 1) & mask();
    places_[i] = position;
  }

  /// Removes a position that is there.
  template <class HashOf>
  void erase(std::uint64_t hash, std::uint32_t position, HashOf&& hash_of) noexcept {
    auto hole = hash & mask();
    while (places_[hole] != position) hole = (hole + 1) & mask();
    for (auto i = (hole + 1) & mask(); places_[i] != none; i = (i + 1) & mask()) {
      const auto home = hash_of(places_[i]) & mask();
      // It may move into the hole unless its home lies between the hole and itself.
      if (((i - home) & mask()) < ((i - hole) & mask())) continue;
      places_[hole] = places_[i];
      hole = i;
    }
    places_[hole] = none;
  }

private:
  [[nodiscard]] std::size_t mask() const noexcept { return places_.size() - 1; }
  std::vector<std::uint32_t> places_;
};

} // namespace warp::storage
