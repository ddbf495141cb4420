#pragma once

#include "storage/table.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace warp::storage {

/// A set of hashes that may say yes to one it does not have (about one in seventy when it is full)
/// and never no to one it has. Two bits of at least 16 per hash.
class hash_sieve {
public:
  /// Room for `count` hashes before it should be built anew.
  explicit hash_sieve(std::size_t count = 0)
      : words_(count == 0 ? 0 : std::bit_ceil((count + 3) / 4)), room_(words_.size() * 4) {}

  void add(std::uint64_t hash) noexcept {
    ++added_;
    words_[word(hash)] |= bits(hash);
  }
  [[nodiscard]] bool may_have(std::uint64_t hash) const noexcept {
    if (words_.empty()) return false;
    const auto b = bits(hash);
    return (words_[word(hash)] & b) == b;
  }
  [[nodiscard]] bool has_room() const noexcept { return added_ < room_; }

private:
  [[nodiscard]] std::size_t word(std::uint64_t hash) const noexcept {
    return (hash >> 12) & (words_.size() - 1);
  }
  static std::uint64_t bits(std::uint64_t hash) noexcept {
    return std::uint64_t{1} << (hash & 63) | std::uint64_t{1} << (hash >> 6 & 63);
  }

  std::vector<std::uint64_t> words_;
  std::size_t room_ = 0, added_ = 0;
};

/// Tells keys that begin with one of a set of prefixes, as a sieve does: cheap however many there
/// are, since one hash per different length decides. Beyond `lengths_max` lengths it lets all
/// through. Immutable.
class prefix_sieve {
public:
  static constexpr std::size_t lengths_max = 32;

  explicit prefix_sieve(std::span<const std::string> prefixes);

  [[nodiscard]] bool may_match(std::string_view key) const noexcept {
    if (all_) return true;
    for (const auto length : lengths_) {
      if (key.size() < length) return false;
      if (hashes_.may_have(table::hash(key.substr(0, length)))) return true;
    }
    return false;
  }

private:
  bool all_ = false;
  std::vector<std::size_t> lengths_; ///< ascending
  hash_sieve hashes_;
};

} // namespace warp::storage
