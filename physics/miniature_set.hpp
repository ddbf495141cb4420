#pragma once

#include "physics/event_horizon.hpp"
#include "physics/reference_index.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace warp::physics {

/// Event horizons with different settings on the same accesses, to compare them: what each would
/// have had in memory. Each is what miniature_horizon.hpp is, but they share the table that finds
/// a key, and with it the room for ghosts: an access takes 0.57 of the instructions, with five.
///
/// A resident costs 16 bytes in each, and a key that one of them knows, as a resident or a ghost,
/// 4 bytes in each and 14 to 21 bytes once; up to as many keys that none knows any more wait to be
/// forgotten. Not thread-safe.
class miniature_set {
public:
  /// 1 to 32 settings.
  miniature_set(std::uint64_t capacity, const std::vector<horizon_settings>& settings);

  /// Reads a key of a size, and takes it in where it was not. Bit i: the i-th had it in memory. See
  /// miniature_horizon::access. O(settings), amortised.
  std::uint32_t access(std::uint64_t key_hash, std::uint32_t bytes);
  /// A key is deleted.
  void remove(std::uint64_t key_hash);
  void set_capacity(std::uint64_t capacity);

  [[nodiscard]] const event_horizon& horizon(std::size_t i) const noexcept { return horizons_[i]; }
  /// Residents of all of them.
  [[nodiscard]] std::size_t residents() const noexcept;
  /// Keys in the table.
  [[nodiscard]] std::size_t keys() const noexcept { return index_.size(); }

private:
  /// Of a state: the rest is the resident's number, else a ghost's stamp.
  static constexpr std::uint32_t resident = std::uint32_t{1} << 31;

  [[nodiscard]] std::uint32_t find(std::uint64_t key_hash) const;
  std::uint32_t take_row(std::uint64_t key_hash);
  void forget_unknown();
  void forget_gone(std::size_t horizon);
  [[nodiscard]] std::uint32_t* states_of(std::uint64_t row) noexcept {
    return states_.data() + row * horizons_.size();
  }

  std::vector<event_horizon> horizons_; // their owners are rows
  reference_index index_;               // rows by hash
  std::vector<std::uint64_t> hashes_;   // a row's
  std::vector<std::uint32_t> states_;   // a row's in each horizon
  std::vector<std::uint32_t> free_;     // rows
  std::size_t rows_enough_ = 64;        // with as many, those that nobody knows are looked for
};

} // namespace warp::physics
