#pragma once

#include "physics/event_horizon.hpp"
#include "physics/ghost_table.hpp"
#include "physics/reference_index.hpp"

#include <cstdint>
#include <vector>

namespace warp::physics {

/// An event horizon with a table of its own: a whole cache without values, driven by accesses
/// alone. It answers what would have been in memory. Fed with one in n keys at an nth of the
/// capacity it foretells the miss ratio of the whole (Waldspurger et al., "Cache modeling and
/// optimization using miniature simulations", USENIX ATC 2017).
///
/// About 50 bytes a resident, its ghosts included. An access is O(1) amortised. Not thread-safe.
class miniature_horizon {
public:
  miniature_horizon(std::uint64_t capacity, const horizon_settings& settings)
      : horizon_(capacity, settings) {}

  /// Reads a key of a size, and takes it in when it was not there. True: it was in memory. The size
  /// of a key that is resident stays what it was when it was admitted. `key_hash` must be
  /// well spread over all its bits.
  bool access(std::uint64_t key_hash, std::uint32_t bytes);
  /// A key is deleted.
  void remove(std::uint64_t key_hash);
  void apply(const horizon_settings& settings) { horizon_.apply(settings); }
  void set_capacity(std::uint64_t capacity);

  [[nodiscard]] const event_horizon& horizon() const noexcept { return horizon_; }

private:
  void forget_gone();

  event_horizon horizon_;
  reference_index index_;             // residents by hash
  std::vector<std::uint64_t> hashes_; // of residents, also of those that have just gone
  ghost_table ghosts_;
};

} // namespace warp::physics
