#pragma once

#include "physics/reference_index.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace warp::physics {

/// Ghosts: the keys that were demoted last, oldest forgotten first, at 4 bytes a key and its place
/// in an index. Only 32 bits of a key's hash are kept, so that one of 2^32 / size() strangers is
/// taken for a ghost. Memory grows to the longest it has been. O(1) amortised.
class ghost_list {
public:
  /// Keys remembered.
  [[nodiscard]] std::size_t size() const noexcept { return index_.size(); }

  /// Remembers a key, once however often it is told, and forgets the oldest above `limit`. A limit
  /// of 0 forgets all.
  void remember(std::uint64_t key_hash, std::size_t limit);
  /// Was this key remembered? It is forgotten with that.
  bool take(std::uint64_t key_hash);
  /// Forgets the oldest above `limit`.
  void shrink(std::size_t limit);

private:
  [[nodiscard]] static std::uint32_t print_of(std::uint64_t key_hash) noexcept {
    const auto print = static_cast<std::uint32_t>(key_hash >> 32);
    return print == gap ? 1 : print;
  }
  [[nodiscard]] std::uint32_t row_of(std::uint32_t print) const;
  void forget(std::uint32_t row);
  void forget_oldest();
  void make_room();

  static constexpr std::uint32_t gap = 0; // a key that was taken out
  std::vector<std::uint32_t> ring_;       // prints, a power of two of them
  std::size_t first_ = 0, count_ = 0;     // the part of the ring in use, gaps included
  reference_index index_;                 // rows of the ring by print
};

} // namespace warp::physics
