#include "physics/ghost_table.hpp"

#include <bit>

namespace warp::physics {

void ghost_table::remember(std::uint64_t key_hash, ghost_stamp stamp, std::size_t room) {
  if (buckets_.size() * ghosts_in_bucket < room || buckets_.empty()) grow(room, stamp);
  put(print_of(key_hash), stamp, stamp);
}

ghost_stamp ghost_table::take(std::uint64_t key_hash) noexcept {
  if (buckets_.empty()) return event_horizon::no_stamp;
  const auto print = print_of(key_hash);
  auto& b = buckets_[print & (buckets_.size() - 1)];
  for (std::size_t i = 0; i < cells; ++i)
    if (b.prints[i] == print) {
      b.prints[i] = 0;
      return b.stamps[i];
    }
  return event_horizon::no_stamp;
}

// In place of nobody, or of the oldest.
void ghost_table::put(std::uint32_t print, ghost_stamp stamp, ghost_stamp now) noexcept {
  auto& b = buckets_[print & (buckets_.size() - 1)];
  std::size_t place = 0;
  std::uint32_t oldest = 0;
  for (std::size_t i = 0; i < cells; ++i) {
    const auto age = b.prints[i] == 0 ? ~std::uint32_t{0} : now - b.stamps[i];
    if (age > oldest) {
      oldest = age;
      place = i;
    }
  }
  b.prints[place] = print;
  b.stamps[place] = stamp;
}

void ghost_table::grow(std::size_t room, ghost_stamp now) {
  std::vector<bucket> old(std::bit_ceil(room / ghosts_in_bucket + 1));
  old.swap(buckets_);
  for (const auto& b : old)
    for (std::size_t i = 0; i < cells; ++i)
      if (b.prints[i] != 0) put(b.prints[i], b.stamps[i], now);
}

} // namespace warp::physics
