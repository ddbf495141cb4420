#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace warp::physics {

/// Finds numbers by the hash of what they stand for, at 4 bytes a cell: the index of a table whose
/// rows are kept elsewhere. Open addressing with linear probing and backward shifts (Knuth, volume
/// 3, algorithm 6.4 R), at most five eighths full; all operations O(1) on average, growth
/// amortised.
///
/// The caller gives the hash of a row when it is asked for: `hash_of(row)` must be what the row was
/// inserted with, for as long as it is in here. Rows are below 2^32 - 1.
class reference_index {
public:
  static constexpr std::uint32_t none = ~std::uint32_t{0};

  /// Rows in here.
  [[nodiscard]] std::size_t size() const noexcept { return size_; }

  /// A row with this hash that `is_it(row)` agrees to, or none.
  template <class IsIt>
  [[nodiscard]] std::uint32_t find(std::uint64_t hash, IsIt&& is_it) const {
    if (cells_.empty()) return none;
    for (auto at = home(hash);; at = after(at)) {
      const auto row = cells_[at];
      if (row == none || is_it(row)) return row;
    }
  }

  /// Takes in a row that is not in here.
  template <class HashOf>
  void insert(std::uint64_t hash, std::uint32_t row, HashOf&& hash_of) {
    if ((size_ + 1) * 8 > cells_.size() * 5) grow(hash_of);
    place(hash, row);
    ++size_;
  }

  /// Takes out a row that is in here with this hash.
  template <class HashOf>
  void erase(std::uint64_t hash, std::uint32_t row, HashOf&& hash_of) {
    auto hole = home(hash);
    while (cells_[hole] != row) hole = after(hole);
    for (auto at = after(hole); cells_[at] != none; at = after(at)) {
      // A row may move back into the hole if that is not before the cell it belongs to.
      const auto mask = cells_.size() - 1;
      const auto from_home = (at - home(hash_of(cells_[at]))) & mask;
      if (from_home < ((at - hole) & mask)) continue;
      cells_[hole] = cells_[at];
      hole = at;
    }
    cells_[hole] = none;
    --size_;
  }

private:
  [[nodiscard]] std::size_t home(std::uint64_t hash) const noexcept {
    return static_cast<std::size_t>(hash * 0x9e3779b97f4a7c15u >> shift_);
  }
  [[nodiscard]] std::size_t after(std::size_t at) const noexcept {
    return (at + 1) & (cells_.size() - 1);
  }
  void place(std::uint64_t hash, std::uint32_t row) noexcept {
    auto at = home(hash);
    while (cells_[at] != none) at = after(at);
    cells_[at] = row;
  }
  template <class HashOf>
  void grow(HashOf&& hash_of) {
    std::vector<std::uint32_t> old(cells_.empty() ? 16 : cells_.size() * 2, none);
    old.swap(cells_);
    shift_ = 64 - std::countr_zero(cells_.size());
    for (const auto row : old)
      if (row != none) place(hash_of(row), row);
  }

  std::vector<std::uint32_t> cells_; // a power of two
  std::size_t size_ = 0;
  int shift_ = 0;
};

} // namespace warp::physics
