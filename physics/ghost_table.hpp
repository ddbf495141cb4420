#pragma once

#include "physics/event_horizon.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace warp::physics {

/// Ghosts by hash: keeps the stamps of keys that have left memory, for a caller whose own table
/// forgets them.
///
/// Buckets of one cache line, a key in one of them by hash, as a 32-bit print with its stamp; the
/// oldest one of a bucket gives way (as the ghosts of S3-FIFO, SOSP 2023, section 4.2). So each
/// call costs one line of memory. 12.8 to 25.6 bytes a ghost; one of a hundred is forgotten early
/// because its bucket was full, and of strangers one in 2^32 / ghosts is taken for one. Not
/// thread-safe.
class ghost_table {
public:
  /// Keeps the stamp of a key that is not in here: stamps must come in their order. `room`: for how
  /// many there is to be room; memory follows the largest that was asked for. O(1) amortised.
  void remember(std::uint64_t key_hash, ghost_stamp stamp, std::size_t room);
  /// The stamp of a key, which is forgotten with that; no_stamp when there is none. O(1).
  ghost_stamp take(std::uint64_t key_hash) noexcept;

private:
  static constexpr std::size_t cells = 8, ghosts_in_bucket = 5;
  struct alignas(64) bucket {
    std::uint32_t prints[cells] = {}; // 0: nobody
    ghost_stamp stamps[cells] = {};
  };

  [[nodiscard]] static std::uint32_t print_of(std::uint64_t key_hash) noexcept {
    const auto print = static_cast<std::uint32_t>(key_hash >> 32);
    return print == 0 ? 1 : print;
  }
  void put(std::uint32_t print, ghost_stamp stamp, ghost_stamp now) noexcept;
  void grow(std::size_t room, ghost_stamp now);

  std::vector<bucket> buckets_; // a power of two
};

} // namespace warp::physics
