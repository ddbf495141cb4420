#pragma once

#include "physics/byte_stream.hpp"
#include "physics/reference_index.hpp"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

namespace warp::physics {

/// Heavy hitters: which keys are used most, with how much weight, in a fixed amount of memory (the
/// SpaceSaving sketch, Metwally, Agrawal and El Abbadi 2005). A key that is not known takes the
/// place of the lightest one and inherits its weight as an error: a weight is never too low, and
/// too high by at most its error, which is at most total / capacity. Every key whose weight is
/// above total / capacity is known.
///
/// About 55 bytes a key. add() O(log capacity), some ten cache lines where the sketch is larger
/// than the caches. Not thread-safe.
class heavy_hitters {
public:
  struct item {
    std::uint64_t key = 0;
    double weight = 0;
    double error = 0; ///< of it what may belong to keys that were here before
    /// What is certain: the weight since the key came.
    [[nodiscard]] double sure() const noexcept { return weight - error; }
  };
  struct added {
    std::uint32_t slot; ///< where the key is, below capacity; stays its own until it is replaced
    bool fresh;         ///< the slot was empty or another key's
  };

  /// capacity >= 1 keys.
  explicit heavy_hitters(std::size_t capacity);

  /// weight > 0.
  added add(std::uint64_t key, double weight);
  /// All weights, the total included, times a factor > 0. O(capacity).
  void scale(double factor) noexcept;

  [[nodiscard]] std::optional<std::uint32_t> find(std::uint64_t key) const;
  [[nodiscard]] const item& at(std::uint32_t slot) const noexcept { return items_[slot]; }
  [[nodiscard]] std::size_t size() const noexcept { return items_.size(); }
  [[nodiscard]] std::size_t capacity() const noexcept { return capacity_; }
  /// Of all keys ever added.
  [[nodiscard]] double total() const noexcept { return total_; }
  /// The most weight a key can have that is not known.
  [[nodiscard]] double unknown_max() const noexcept;

  /// All keys with their weights, as bytes.
  void save(byte_writer& out) const;
  /// Takes what save() wrote in place of what is here; slots are the same. False, and empty, when
  /// the bytes are not what save() writes or more keys than there is room for.
  [[nodiscard]] bool load(byte_reader& in);

private:
  /// Of the heap; with the weight, which is what it is looked at for.
  struct node {
    double weight;
    std::uint32_t slot;
  };
  static constexpr std::size_t children = 4; ///< of a node, side by side in one or two cache lines

  void sink(std::size_t position) noexcept;
  void rise(std::size_t position) noexcept;
  void put(std::size_t position, node n) noexcept;
  [[nodiscard]] std::uint32_t slot_of(std::uint64_t key) const;

  std::size_t capacity_;
  double total_ = 0;
  std::vector<item> items_;
  std::vector<node> heap_;              ///< the lightest first
  std::vector<std::uint32_t> position_; ///< of a slot in heap_
  reference_index index_;               ///< slots by key
};

} // namespace warp::physics
